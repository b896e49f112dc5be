"""Expected calibration error, and the bins of a reliability diagram."""

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
    """Bins of equal width over [0, 1], and the expected calibration error.

    ``confidence`` is the mean predicted probability of a bin and ``frequency`` how often the event happened, both NaN
    in an empty bin; ``count`` is the number of samples. ``error_if_calibrated`` is the mean error of outcomes that
    are drawn from the confidences: perfect probabilities have it too, about 0.15 with 60 samples, 0.01 with 10,000.
    """

    confidence: Array
    frequency: Array
    count: Array
    error: float
    error_if_calibrated: float


def reliability(confidence: Array, outcome: Array, bins: int = BINS) -> Reliability:
    """Compare predicted probabilities ``confidence`` (n,) with what happened, ``outcome`` (n,) bool.

    ``error`` is the expected calibration error ``sum_b n_b/n |frequency_b - confidence_b|`` (Naeini et al. 2015), as
    computed by torchmetrics.
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    bin_index = np.clip((confidence * bins).astype(int), 0, bins - 1)
    count = np.bincount(bin_index, minlength=bins)
    sums = [np.bincount(bin_index, weights=weights, minlength=bins) for weights in (confidence, outcome)]
    with np.errstate(invalid="ignore"):
        mean, frequency = (total / count for total in sums)
    error = binary_calibration_error(torch.from_numpy(confidence), torch.from_numpy(np.asarray(outcome, int)), bins)
    return Reliability(mean, frequency, count, float(error), _error_if_calibrated(confidence, bin_index, bins))


def _error_if_calibrated(confidence: Array, bin_index: Array, bins: int, draws: int = 200) -> float:
    """The mean of ``sum_b |sum_{i in b} (outcome_i - confidence_i)| / n`` over outcomes drawn from the confidences."""
    if not len(confidence):
        return float("nan")
    random, errors = np.random.default_rng(0), []
    for _ in range(draws):
        outcome = random.random(len(confidence)) < confidence
        errors.append(np.abs(np.bincount(bin_index, weights=outcome - confidence, minlength=bins)).sum())
    return float(np.mean(errors) / len(confidence))


def top_label(probabilities: Array, prediction: Array, target: Array, bins: int = BINS) -> Reliability:
    """Reliability of the predicted class: its probability, of (n, K), against how often it is the true class.

    The predicted class is not always the most probable one: a loss that favours a class in its scores may correct for
    that in its probabilities.
    """
    return reliability(probabilities[np.arange(len(target)), prediction], prediction == target, bins)


def of_important(probabilities: Array, target: Array, important: Sequence[int], bins: int = BINS) -> Reliability:
    """Reliability of "this is an important class": the sum of their probabilities against how often it is true."""
    important = list(important)
    probability = probabilities[:, important].sum(1).clip(0, 1)
    return reliability(probability, np.isin(target, important), bins)
