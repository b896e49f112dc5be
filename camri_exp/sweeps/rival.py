"""The cheap rival: add a constant to the important classes' scores of a run that is there already."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camri_exp.metrics import threshold
from camri_exp.sweeps.collect import Run

RECALLS = np.linspace(0, 1, 201)


@dataclass(frozen=True)
class Moved:
    bias: float
    selection_recall: float
    recall: float
    accuracy: float


def moved_threshold(run: Run, important: Sequence[int], split: str, tolerance: float = 0.0) -> Moved | None:
    """The bias with the largest recall on ``split`` that keeps the run's own accuracy there, and its test metrics."""
    arrays = run.predictions(f"{split}_scores", f"{split}_target", "test_scores", "test_target")
    if arrays is None:
        return None
    unmoved = threshold.at(arrays[0], arrays[1], important, 0.0)
    chosen = threshold.keeping(threshold.curve(arrays[0], arrays[1], important), unmoved.accuracy - tolerance)
    test = threshold.at(arrays[2], arrays[3], important, chosen.bias)
    return Moved(chosen.bias, chosen.recall, test.recall, test.accuracy)


def mean_curve(runs: Sequence[Run], important: Sequence[int]) -> tuple[list[float], list[float]] | None:
    """Best test accuracy at each recall, averaged over the runs: (accuracy, recall). One run in memory at a time."""
    total, count = np.zeros(len(RECALLS)), 0
    for run in runs:
        arrays = run.predictions("test_scores", "test_target")
        if arrays is None:
            continue
        curve = threshold.curve(arrays[0], arrays[1], important)
        reachable = np.maximum.accumulate(curve.accuracy[::-1])[::-1]  # the best among all with at least this recall
        at = np.minimum(np.searchsorted(curve.recall, RECALLS - 1e-12), len(curve) - 1)
        total += reachable[at]
        count += 1
    return (list(total / count), list(RECALLS)) if count else None
