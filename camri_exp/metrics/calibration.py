"""Does "90 % sure" mean right nine times in ten? Expected calibration error and the bins of a reliability diagram."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torchmetrics.functional.classification import binary_calibration_error

Array = npt.NDArray[Any]
BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Bins of equal width over [0, 1]: ``confidence`` and ``frequency`` (both NaN in an empty bin) and ``count``."""

    confidence: Array
    frequency: Array
    count: Array
    error: float


def reliability(confidence: Array, outcome: Array, bins: int = BINS) -> Reliability:
    """How often what was held for ``confidence`` (n,) likely was so: ``outcome`` (n,) bool.

    ``error`` is the expected calibration error ``sum_b n_b/n |frequency_b - confidence_b|`` (Naeini et al. 2015), as
    torchmetrics has it.
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    place = np.clip((confidence * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=weights, minlength=bins) for weights in (confidence, outcome)]
    with np.errstate(invalid="ignore"):
        mean, frequency = (total / count for total in sums)
    error = binary_calibration_error(torch.from_numpy(confidence), torch.from_numpy(np.asarray(outcome, int)), bins)
    return Reliability(mean, frequency, count, float(error))


def top_label(probabilities: Array, prediction: Array, target: Array, bins: int = BINS) -> Reliability:
    """Of the ``prediction`` (n,): its probability, of (n, K), against how often it is the ``target`` (n,).

    The predicted class need not be the most probable one: a loss that favours a class in its scores may take that
    out of its probabilities.
    """
    return reliability(probabilities[np.arange(len(target)), prediction], prediction == target, bins)


def of_important(probabilities: Array, target: Array, important: Sequence[int], bins: int = BINS) -> Reliability:
    """Of "this is an important class": the sum of their probabilities against how often it is one."""
    important = list(important)
    sure = probabilities[:, important].sum(1).clip(0, 1)
    return reliability(sure, np.isin(target, important), bins)
