"""The baseline without training: a constant added to the important classes' scores of a finished run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camri_exp.metrics import threshold
from camri_exp.reporting.collect import Run

RECALLS = np.linspace(0, 1, 201)


@dataclass(frozen=True)
class MovedThreshold:
    """The tuned ``bias``, its recall on the split that it was tuned on, and recall and accuracy on test."""

    bias: float
    selection_recall: float
    recall: float
    accuracy: float


def moved_threshold(run: Run, important: Sequence[int], split: str, tolerance: float = 0.0) -> MovedThreshold | None:
    """The bias with the largest recall on ``split`` whose accuracy there is at least the run's minus ``tolerance``.

    None where the run left no predictions.
    """
    arrays = run.predictions(f"{split}_scores", f"{split}_target", "test_scores", "test_target")
    if arrays is None:
        return None
    tuned = threshold.tuned(arrays[0], arrays[1], important, tolerance)
    test = threshold.at(arrays[2], arrays[3], important, tuned.bias)
    return MovedThreshold(tuned.bias, tuned.recall, test.recall, test.accuracy)


def mean_curve(runs: Sequence[Run], important: Sequence[int]) -> tuple[list[float], list[float]] | None:
    """Best mean test accuracy at each mean recall where one bias is added in all runs: (accuracy, recall).

    This is not the mean over runs at equal recall. Where recall differs between seeds, that mean would move the runs
    with low recall far, at a high price, so that the mean of the unmoved runs would lie above it and seem to beat
    threshold moving.
    """
    curves = []
    for run in runs:  # only one run's scores are in memory at a time
        arrays = run.predictions("test_scores", "test_target")
        if arrays is not None:
            curves.append(threshold.curve(arrays[0], arrays[1], important))
    if not curves:
        return None
    biases = np.unique(np.concatenate([curve.bias for curve in curves]))
    states = [np.maximum(np.searchsorted(curve.bias, biases, side="right") - 1, 0) for curve in curves]
    pairs = [(curve.accuracy[state], curve.recall[state]) for curve, state in zip(curves, states, strict=True)]
    accuracy, recall = np.mean(pairs, axis=0)
    best = np.maximum.accumulate(accuracy[::-1])[::-1]  # among all biases with at least this recall
    index = np.minimum(np.searchsorted(recall, RECALLS - 1e-12), len(recall) - 1)
    return best[index].tolist(), RECALLS.tolist()
