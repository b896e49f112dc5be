"""A promise of recall: a threshold at which at least a share r of a class is found, with confidence 1 - delta.

Let ``d_i = max_{j not important} s_ij - s_ik`` for n images of class k that nothing else used. Image i is found with
the bias b exactly when ``b > d_i``. Let ``j = min {j : P(Bin(n, r) >= j) <= delta}``. The bias just above the j-th
smallest ``d_i`` finds at least r of the class with probability at least 1 - delta, for every model and distribution:
a bias at which the recall is below r finds j or more of n independent images with probability at most delta.
This is the order statistic of the Neyman-Pearson umbrella (Tong, Feng & Li 2018, https://arxiv.org/abs/1608.03109).

The guarantee needs independent images, from the distribution that is met later, which neither trained nor chose the
model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from camri_exp.records import Number

Array = npt.NDArray[Any]
# How far the bias exceeds d_j at most. Two runtimes, such as PyTorch and onnxruntime, give scores that differ by less.
ROOM = 1e-4
ROUNDING = 1e-12  # relative, of probabilities


@dataclass(frozen=True)
class RecallThreshold:
    """The bias for a recall, from ``images`` images of the class, of which it misses ``missed``.

    ``best`` is the largest recall that these images allow to promise, with any bias, and ``unchanged`` the largest with
    a bias of 0. Where ``best`` is less than was asked for, ``reached`` is false, and ``bias`` is the one for ``best``.
    Without an image that can be found, ``bias`` is NaN and ``best`` is 0.
    """

    bias: Number
    images: int
    missed: int
    reached: bool
    best: Number
    unchanged: Number


def required_hits(images: int, recall: float, confidence: float) -> int | None:
    """The smallest j with P(Bin(images, recall) >= j) <= 1 - confidence; None where even j = ``images`` is too small.

    >>> required_hits(100, 0.95, 0.95)
    99
    """
    more_than = special.bdtrc(np.arange(images, dtype=float), images, recall)  # P(Bin > k) for k < images
    allowed = np.flatnonzero(more_than <= (1 - confidence) * (1 + ROUNDING))
    return int(allowed[0]) + 1 if len(allowed) else None


def fewest_images(recall: float, confidence: float) -> int:
    """The smallest number of images with which ``recall`` can be promised, all of them found: recall^n <= delta.

    >>> fewest_images(0.95, 0.95)
    59
    """
    return max(1, math.ceil(math.log((1 - confidence) * (1 + ROUNDING)) / math.log(recall)))


def best_recall(images: int, missed: int, confidence: float) -> float:
    """The largest recall that can be promised when ``missed`` of ``images`` images are missed.

    It is the lower end of the one-sided interval of Clopper & Pearson (1934); with none missed delta^(1/n).

    >>> round(best_recall(18, 0, 0.95), 3)
    0.847
    """
    return float(stats.beta.ppf(1 - confidence, images - missed, missed + 1)) if images > missed else 0.0


def margins(scores: Array, important: Sequence[int], k: int) -> Array:
    """d (n,) of images with scores (n, K): class k is predicted with every bias above it, ``important`` includes k.

    It is infinite where another important class has at least that score: ``threshold.moved`` may then prefer that
    class, depending on its bias, and no bias of class k changes it.
    """
    scores = scores.astype(np.float64)
    others, competing = np.ones(scores.shape[1], dtype=bool), [j for j in important if j != k]
    others[list(important)] = False
    d: Array = scores[:, others].max(axis=1, initial=-np.inf) - scores[:, k]
    d[(scores[:, competing] >= scores[:, [k]]).any(axis=1)] = np.inf
    return d


def recall_threshold(
    scores: Array, important: Sequence[int], k: int, recall: float, confidence: float
) -> RecallThreshold:
    """The bias of class ``k`` with which at least ``recall`` of it is found, with ``confidence``.

    ``scores`` (n, K) are those of independent images of class k. Several important classes have a bias each; see
    ``shared`` for their confidence.

    Raises:
        ValueError: every class is important, so that there is no threshold to move.
    """
    if len(set(important)) == scores.shape[1]:
        raise ValueError("a threshold needs a class that is not important")
    d = np.sort(margins(scores, important, k))
    images, findable = len(d), int((d < np.inf).sum())
    best = best_recall(images, images - findable, confidence)
    unchanged = best_recall(images, int((d >= 0).sum()), confidence)
    required = required_hits(images, recall, confidence)
    if not findable:
        return RecallThreshold(math.nan, images, images, False, best, unchanged)
    reached = required is not None and required <= findable
    bias = _just_above(d, required if required is not None and reached else findable, float(np.abs(scores).max()))
    return RecallThreshold(bias, images, int((d >= bias).sum()), reached, best, unchanged)


def _just_above(d: Array, hits: int, largest_score: float) -> float:
    """A bias above the ``hits`` smallest of the sorted ``d``, below the next larger one where float32 allows.

    The exported model adds it in float32, so that it exceeds d by a few of the steps between neighbours in float32.
    """
    last = d[hits - 1]
    larger = d[np.searchsorted(d, last, side="right") :]
    room = min(ROOM, (larger[0] - last) / 2) if len(larger) else ROOM
    return float(np.float32(last + max(room, 4 * np.spacing(np.float32(largest_score)))))


def shared(confidence: float, parts: int) -> float:
    """The confidence for each of ``parts`` promises that hold together with ``confidence``: 1 - delta / parts."""
    return 1 - (1 - confidence) / parts
