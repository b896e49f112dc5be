"""Threshold moving, the baseline without training: predict argmax(score_j + b [j is important]).

With ``d_i = max_{j not important} s_ij - max_{k important} s_ik``, image i is predicted as an important class exactly
when ``b > d_i``. Sorting d therefore gives recall, precision and accuracy for every b, exactly and in O(n log n).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.records import Number

Array = npt.NDArray[Any]
Bias = float | Sequence[float]  # of all important classes, or of each
ROUNDING = 1e-9  # accuracies are multiples of 1/n; smaller differences are rounding


@dataclass(frozen=True)
class Point:
    """Metrics with the constant ``bias`` added to the scores of the important classes."""

    bias: Number
    recall: Number
    precision: Number
    accuracy: Number


@dataclass(frozen=True)
class Curve:
    """Every distinct point of threshold moving, sorted by increasing bias; arrays (m,), m at most n + 1.

    ``recall`` and ``precision`` are means over the important classes; ``precision`` is 0 for a class that is never
    predicted. ``bias`` lies midway between two changes; it is exactly 0 for the unchanged model.
    """

    bias: Array
    recall: Array
    precision: Array
    accuracy: Array

    def __len__(self) -> int:
        return len(self.bias)

    def point(self, index: int) -> Point:
        return Point(*(float(a[index]) for a in (self.bias, self.recall, self.precision, self.accuracy)))


@dataclass(frozen=True)
class Changes:
    """The images in the order in which an increasing bias makes them predictions of an important class.

    ``d`` is the bias of each change; ``inner`` and ``outer`` are the best important class and the best other one.
    """

    d: Array
    inner: Array
    outer: Array
    order: Array


def changes_of(scores: Array, target: Array, important: Sequence[int]) -> Changes:
    inside = np.zeros(scores.shape[1], dtype=bool)
    inside[list(important)] = True
    if not len(target) or inside.all():
        raise ValueError("a threshold curve needs images, and a class that is not important")
    scores = scores.astype(np.float64)
    inner, outer = (np.where(mask, scores, -np.inf).argmax(1) for mask in (inside, ~inside))
    rows = np.arange(len(target))
    d = scores[rows, outer] - scores[rows, inner]
    # argmax returns the first of equal scores, so that a tie is already a prediction of the lower class.
    d[(d == 0) & (inner < outer)] = -np.finfo(float).smallest_subnormal
    order = np.argsort(d, kind="stable")
    return Changes(d[order], inner[order], outer[order], order)


def curve(scores: Array, target: Array, important: Sequence[int]) -> Curve:
    """The exact threshold curve for scores (n, K) and targets (n,).

    Raises:
        ValueError: no images, or no class outside ``important``.
    """
    changes = changes_of(scores, target, important)
    target, d, inner = target[changes.order], changes.d, changes.inner
    hit, outer_hit = inner == target, changes.outer == target
    accuracy = running_hits(hit, outer_hit) / len(target)
    recall, precision = np.zeros(len(d) + 1), np.zeros(len(d) + 1)
    for k in important:
        hits, predicted = _running(hit & (target == k)), _running(inner == k)
        recall += hits / max((target == k).sum(), 1) / len(important)
        precision += hits / np.maximum(predicted, 1) / len(important)
    distinct = are_distinct(d)
    return Curve(_between(d)[distinct], recall[distinct], precision[distinct], accuracy[distinct])


def are_distinct(d: Array) -> Array:
    """Which of the states before and after the sorted changes ``d`` are possible: images of equal d change together."""
    return np.concatenate([[True], d[1:] > d[:-1], [True]])


def running_hits(inner: Array, outer: Array) -> Array:
    """The number of hits before and after each change from the hits ``outer`` to the hits ``inner``."""
    return outer.sum() + _running(inner.astype(int) - outer)


def _running(values: Array) -> Array:
    return np.concatenate([[0], np.cumsum(values)])


def _between(d: Array) -> Array:
    """A bias for each interval between the sorted changes ``d``: the midpoint, or 0 where 0 lies in the interval."""
    bias = np.concatenate([[d[0] - 1], (d[1:] + d[:-1]) / 2, [d[-1] + 1]])
    bias[np.searchsorted(d, 0.0)] = 0.0
    return bias


def keeping(curve: Curve, accuracy: float) -> Point:
    """The point of largest recall whose accuracy is at least ``accuracy``.

    Ties are resolved by accuracy, then by the bias that is nearest to zero. A negative bias is chosen only where no
    other point has this recall: it never increases recall, and where the recall on a few validation images is already
    1 it would trade recall on other images for accuracy that was not asked for.

    Raises:
        ValueError: no point reaches ``accuracy``.
    """
    allowed = np.flatnonzero(curve.accuracy >= accuracy - ROUNDING)
    if not len(allowed):
        raise ValueError(f"no bias gives an accuracy of {accuracy:.4f}; the best is {curve.accuracy.max():.4f}")
    bias, recall, rounded = curve.bias[allowed], curve.recall[allowed].round(9), curve.accuracy[allowed].round(9)
    order = np.lexsort([np.abs(bias), -rounded, bias < 0, -recall])
    return curve.point(int(allowed[order[0]]))


def at_accuracy(curve: Curve, accuracy: float) -> Point:
    """The point of largest recall whose accuracy is at least ``accuracy``, or else the most accurate point."""
    return keeping(curve, min(accuracy, float(curve.accuracy.max())))


def recall_at_accuracy(scores: Array, target: Array, important: Sequence[int], accuracy: float | None) -> float:
    """A value by which epochs and runs are ranked; the larger, the better.

    With ``accuracy``: the largest recall among all biases that keep it. Where no bias does, the value is negative: the
    best accuracy minus ``accuracy``. Without: the accuracy a, and among equal accuracies the recall r, as one number,
    ``a + r / (n + 1)`` for n images.

    Args:
        scores: (n, K).
        target: classes (n,).
        important: ids of the important classes; their recalls are averaged.
        accuracy: the accuracy to keep, as a share.

    Raises:
        ValueError: no images, or no class outside ``important``.
    """
    if accuracy is None:
        point = at(scores, target, important, 0.0)
        return float(point.accuracy + point.recall / (len(target) + 1))
    points = curve(scores, target, important)
    best = float(points.accuracy.max())
    if best < accuracy - ROUNDING:
        return best - accuracy
    return float(keeping(points, accuracy).recall)


def recall_if_accurate(recall: float, accuracy: float, least: float) -> float:
    """``recall`` where ``accuracy`` is at least ``least``, else the negative difference: the objective of a search."""
    return recall if accuracy >= least - ROUNDING else accuracy - least


def bias_to_find(scores: Array, target: Array, important: Sequence[int]) -> Array:
    """The bias (n,) above which each image of an important class is found; infinity where it never is."""
    changes = changes_of(scores, target, important)
    needed = np.empty(len(target))
    needed[changes.order] = np.where(changes.inner == target[changes.order], changes.d, np.inf)
    return needed


def moved(scores: Array, important: Sequence[int], bias: Bias) -> Array:
    """Predictions (n,) from scores (n, K) with ``bias`` added to the scores of the important classes.

    ``bias`` is one number, or one per important class. An image is a candidate for each important class whose score
    with its bias exceeds the scores of all classes that are not important. Of several candidates the one with the
    largest score, without a bias, is predicted, so that a large bias of one important class takes nothing away from
    another.
    """
    scores, classes = scores.astype(np.float64), np.asarray(important)
    order = np.argsort(classes)
    classes, biases = classes[order], np.broadcast_to(np.asarray(bias, dtype=np.float64), classes.shape)[order]
    others = scores.copy()
    others[:, classes] = -np.inf
    other = others.argmax(1)
    inner, outer = scores[:, classes], others.max(1)[:, None]
    # Of equal scores the first class is predicted, as by argmax.
    candidate = (inner + biases > outer) | ((inner + biases == outer) & (classes < other[:, None]))
    best = np.where(candidate, inner, -np.inf).argmax(1)
    return np.where(candidate.any(1), classes[best], other)


def at(scores: Array, target: Array, important: Sequence[int], bias: float) -> Point:
    """Mean recall and precision of the important classes, and accuracy, with ``bias``; scores (n, K), target (n,)."""
    prediction = moved(scores, important, bias)
    hit = prediction == target
    recalls = [hit[target == k].mean() if (target == k).any() else 0.0 for k in important]
    precisions = [hit[prediction == k].mean() if (prediction == k).any() else 0.0 for k in important]
    return Point(bias, float(np.mean(recalls)), float(np.mean(precisions)), float(hit.mean()))
