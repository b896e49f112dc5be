"""The cheap rival: add a constant to the important classes' scores of a run that is there already."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.sweeps.collect import Run

Array = npt.NDArray[Any]
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
    bias, recall, accuracy = curve(arrays[0], arrays[1], important)
    keeping = accuracy >= run.accuracy(split) - tolerance - 1e-9
    best = int(np.flatnonzero(keeping)[np.argmax(recall[keeping])])
    scores = arrays[2].astype(np.float64)
    scores[:, list(important)] += bias[best]
    hit = scores.argmax(1) == arrays[3]
    own = [hit[arrays[3] == k].mean() for k in important]
    return Moved(float(bias[best]), float(recall[best]), float(np.mean(own)), float(hit.mean()))


def curve(scores: Array, target: Array, important: Sequence[int]) -> tuple[Array, Array, Array]:
    """Bias, recall and accuracy at every bias where a prediction changes."""
    inside = np.zeros(scores.shape[1], dtype=bool)
    inside[list(important)] = True
    scores = scores.astype(np.float64)
    outer, inner = np.where(inside, -np.inf, scores), np.where(inside, scores, -np.inf)
    d = outer.max(1) - inner.max(1)
    order = np.argsort(d)
    gained = (inner.argmax(1) == target)[order]
    lost = (outer.argmax(1) == target)[order]
    n = len(target)
    accuracy = (lost.sum() + np.concatenate([[0], np.cumsum(gained.astype(int) - lost)])) / n
    weight = np.zeros(n)
    for k in important:
        weight[target[order] == k] = 1 / max((target == k).sum(), 1) / len(important)
    recall = np.concatenate([[0.0], np.cumsum(gained * weight)])
    s = d[order]
    bias = np.concatenate([[s[0] - 1], (s[1:] + s[:-1]) / 2, [s[-1] + 1]])
    whole = np.concatenate([[True], s[1:] > s[:-1], [True]])  # equal d change together
    return bias[whole], recall[whole], accuracy[whole]


def mean_curve(runs: Sequence[Run], important: Sequence[int]) -> tuple[list[float], list[float]] | None:
    """Best test accuracy at each recall, averaged over the runs: (accuracy, recall). One run in memory at a time."""
    total, count = np.zeros(len(RECALLS)), 0
    for run in runs:
        arrays = run.predictions("test_scores", "test_target")
        if arrays is None:
            continue
        _, recall, accuracy = curve(arrays[0], arrays[1], important)
        reachable = np.maximum.accumulate(accuracy[::-1])[::-1]  # the best among all with at least this recall
        at = np.minimum(np.searchsorted(recall, RECALLS - 1e-12), len(recall) - 1)
        total += reachable[at]
        count += 1
    return (list(total / count), list(RECALLS)) if count else None
