"""The cheap rival: add a constant to the important classes' scores of a run that is there already."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camri_exp.metrics import threshold
from camri_exp.reporting.collect import Run

RECALLS = np.linspace(0, 1, 201)


@dataclass(frozen=True)
class MovedThreshold:
    bias: float
    selection_recall: float
    recall: float
    accuracy: float


def moved_threshold(run: Run, important: Sequence[int], split: str, tolerance: float = 0.0) -> MovedThreshold | None:
    """The bias with the largest recall on ``split`` that keeps the run's own accuracy there, and its test metrics."""
    arrays = run.predictions(f"{split}_scores", f"{split}_target", "test_scores", "test_target")
    if arrays is None:
        return None
    unmoved = threshold.at(arrays[0], arrays[1], important, 0.0)
    chosen = threshold.keeping(threshold.curve(arrays[0], arrays[1], important), unmoved.accuracy - tolerance)
    test = threshold.at(arrays[2], arrays[3], important, chosen.bias)
    return MovedThreshold(chosen.bias, chosen.recall, test.recall, test.accuracy)


def mean_curve(runs: Sequence[Run], important: Sequence[int]) -> tuple[list[float], list[float]] | None:
    """Best mean test accuracy at each mean recall, where one bias moves all runs: (accuracy, recall).

    Not the mean over runs at equal recall: where recall differs between seeds, that would move the poor ones far, at a
    high price, and the mean of the unmoved runs itself would lie above it, and seem to beat threshold moving.
    """
    curves = []
    for run in runs:  # whose scores, the large part, are in memory one run at a time
        arrays = run.predictions("test_scores", "test_target")
        if arrays is not None:
            curves.append(threshold.curve(arrays[0], arrays[1], important))
    if not curves:
        return None
    biases = np.unique(np.concatenate([curve.bias for curve in curves]))
    states = [np.maximum(np.searchsorted(curve.bias, biases, side="right") - 1, 0) for curve in curves]
    pairs = [(curve.accuracy[at], curve.recall[at]) for curve, at in zip(curves, states, strict=True)]
    accuracy, recall = np.mean(pairs, axis=0)
    reachable = np.maximum.accumulate(accuracy[::-1])[::-1]  # the best among all with at least this recall
    at = np.minimum(np.searchsorted(recall, RECALLS - 1e-12), len(recall) - 1)
    return list(reachable[at]), list(RECALLS)
