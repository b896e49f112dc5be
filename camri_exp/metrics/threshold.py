"""Threshold moving, the cheap rival of every loss: predict argmax(score_j + b [j is important]).

With ``d_i = max_{j not important} s_ij - max_{k important} s_ik``, image i goes to the important class exactly when
``b > d_i``. So one sort of d gives recall, precision and accuracy at every b there is: O(n log n), and exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LEAST = 1e-9  # accuracies are multiples of 1/n; less than this is rounding


@dataclass(frozen=True)
class Point:
    """What one constant ``bias``, added to the important classes' scores, gives."""

    bias: float
    recall: float
    precision: float
    accuracy: float


@dataclass(frozen=True)
class Curve:
    """Every distinct point of threshold moving, each array (m,), by rising bias; m is at most n + 1.

    ``recall`` and ``precision`` are means over the important classes; ``precision`` is 0 for a class that is never
    predicted. ``bias`` lies in the middle between two changes, and is exactly 0 where the model itself is.
    """

    bias: Array
    recall: Array
    precision: Array
    accuracy: Array

    def __len__(self) -> int:
        return len(self.bias)

    def point(self, index: int) -> Point:
        return Point(*(float(a[index]) for a in (self.bias, self.recall, self.precision, self.accuracy)))


def curve(scores: Array, target: Array, important: Sequence[int]) -> Curve:
    """The exact threshold curve of scores (n, K) and targets (n,).

    Raises:
        ValueError: no images, or no class outside ``important``.
    """
    important = list(important)
    inside = np.zeros(scores.shape[1], dtype=bool)
    inside[important] = True
    if not len(target) or inside.all():
        raise ValueError("a threshold curve needs images, and a class that is not important")
    scores = scores.astype(np.float64)
    inner_class, outer_class = (np.where(mask, scores, -np.inf).argmax(1) for mask in (inside, ~inside))
    rows = np.arange(len(target))
    d = scores[rows, outer_class] - scores[rows, inner_class]
    d[(d == 0) & (inner_class < outer_class)] = -np.finfo(float).smallest_subnormal  # argmax takes the first of equals
    order = np.argsort(d, kind="stable")
    target, inner_class, outer_class, d = target[order], inner_class[order], outer_class[order], d[order]

    hit = inner_class == target
    accuracy = ((outer_class == target).sum() + _running(hit.astype(int) - (outer_class == target))) / len(target)
    recall, precision = np.zeros(len(d) + 1), np.zeros(len(d) + 1)
    for k in important:
        found, sent = _running(hit & (target == k)), _running(inner_class == k)
        recall += found / max((target == k).sum(), 1) / len(important)
        precision += found / np.maximum(sent, 1) / len(important)
    whole = np.concatenate([[True], d[1:] > d[:-1], [True]])  # images of equal d change together
    return Curve(_between(d)[whole], recall[whole], precision[whole], accuracy[whole])


def _running(values: Array) -> Array:
    return np.concatenate([[0], np.cumsum(values)])


def _between(d: Array) -> Array:
    """A bias for each state between the sorted changes ``d``, as far from both as can be; 0 where 0 lies between."""
    bias = np.concatenate([[d[0] - 1], (d[1:] + d[:-1]) / 2, [d[-1] + 1]])
    bias[np.searchsorted(d, 0.0)] = 0.0
    return bias


def keeping(curve: Curve, accuracy: float) -> Point:
    """The point of largest recall among those of at least ``accuracy``; of equal ones the most accurate, then the
    one whose bias is nearest to zero.

    A negative bias only where no other is as good: it never finds more, and where recall on a few validation images
    is full it would give recall on all others away for accuracy that nobody asked for.

    Raises:
        ValueError: no point is so accurate.
    """
    able = np.flatnonzero(curve.accuracy >= accuracy - LEAST)
    if not len(able):
        raise ValueError(f"no bias gives an accuracy of {accuracy:.4f}; the best is {curve.accuracy.max():.4f}")
    bias, recall, exact = curve.bias[able], curve.recall[able].round(9), curve.accuracy[able].round(9)
    order = np.lexsort([np.abs(bias), -exact, bias < 0, -recall])
    return curve.point(int(able[order[0]]))


def moved(scores: Array, important: Sequence[int], bias: float) -> Array:
    """Predictions (n,) from scores (n, K) with ``bias`` added to the important classes' scores."""
    scores = scores.astype(np.float64)
    scores[:, list(important)] += bias
    return scores.argmax(1)


def at(scores: Array, target: Array, important: Sequence[int], bias: float) -> Point:
    """Recall and precision of the important classes, and accuracy, at one bias."""
    prediction = moved(scores, important, bias)
    hit = prediction == target
    recalls = [hit[target == k].mean() if (target == k).any() else 0.0 for k in important]
    precisions = [hit[prediction == k].mean() if (prediction == k).any() else 0.0 for k in important]
    return Point(bias, float(np.mean(recalls)), float(np.mean(precisions)), float(hit.mean()))
