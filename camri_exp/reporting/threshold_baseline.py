"""The baselines without training: the threshold of a finished run is moved, as it is or after calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.metrics import threshold
from camri_exp.metrics.class_biases import fit_class_biases
from camri_exp.metrics.tuned_threshold import MARGIN, tuned_threshold
from camri_exp.reporting.runs import Run

Array = npt.NDArray[Any]
RECALLS = np.linspace(0, 1, 201)


@dataclass(frozen=True)
class MovedThreshold:
    """The tuned ``bias``, its recall on the split that it was tuned on, and recall and accuracy on test."""

    bias: float
    selection_recall: float
    recall: float
    accuracy: float


@dataclass(frozen=True)
class Thresholds:
    """What moving the threshold of one run can do: ``moved`` and ``calibrated``, with biases chosen on validation.

    ``curves`` are the test curves of the run's own scores and, where there is a calibration, of calibrated ones.
    """

    moved: MovedThreshold
    calibrated: MovedThreshold | None
    curves: list[threshold.Curve]

    def recall_at(self, accuracy: float) -> float:
        """The largest test recall of the curves at a test accuracy of at least ``accuracy``."""
        return max(threshold.at_accuracy(curve, accuracy).recall for curve in self.curves)


def moved_threshold(
    run: Run, important: Sequence[int], split: str, tolerance: float = 0.0, margin: float = MARGIN
) -> MovedThreshold | None:
    """The bias of ``tuned_threshold`` on ``split``, and its effect on test; None where the run left no predictions."""
    arrays = run.predictions(f"{split}_scores", f"{split}_target", "test_scores", "test_target")
    return None if arrays is None else _moved(arrays, important, tolerance, margin)


def thresholds(
    run: Run, important: Sequence[int], split: str, tolerance: float = 0.0, margin: float = MARGIN
) -> Thresholds | None:
    """Threshold moving of ``run`` as it is and after calibration on ``split``; None without predictions."""
    arrays = run.predictions(f"{split}_scores", f"{split}_target", "test_scores", "test_target")
    if arrays is None or not len(arrays[1]):
        return None
    scores, target, test_scores, test_target = arrays
    moved = _moved(arrays, important, tolerance, margin)
    assert moved is not None
    curves = [threshold.curve(test_scores, test_target, important)]
    if _is_trimmed(scores):
        return Thresholds(moved, None, curves)
    calibrate = fit_class_biases(scores, target)
    both = [calibrate(scores), target, calibrate(test_scores), test_target]
    calibrated = _moved(both, important, tolerance, margin, scores.argmax(1) == target)
    curves.append(threshold.curve(both[2], test_target, important))
    return Thresholds(moved, calibrated or moved, curves)


def _is_trimmed(scores: Array) -> bool:
    """Whether most scores were replaced by a low value, as in archives of runs, so that no likelihood is known."""
    return float((scores == scores.min()).mean()) > 1 / 4


def _moved(
    arrays: Sequence[Array], important: Sequence[int], tolerance: float, margin: float, reference: Array | None = None
) -> MovedThreshold | None:
    scores, target, test_scores, test_target = arrays
    tuned = tuned_threshold(scores, target, important, tolerance, margin, reference)
    if tuned is None:
        return None
    test = threshold.at(test_scores, test_target, important, tuned.bias)
    return MovedThreshold(tuned.bias, tuned.recall, test.recall, test.accuracy)


@dataclass(frozen=True)
class MeanCurve:
    """Best mean test accuracy at each of ``RECALLS``, and the bias that gives it."""

    accuracy: list[float]
    recall: list[float]
    bias: list[float]


def mean_curve(runs: Sequence[Run], important: Sequence[int]) -> MeanCurve | None:
    """Best mean test accuracy at each mean recall where one bias is added in all runs; None without predictions.

    This is not the mean over runs at equal recall. Where recall differs between seeds, that mean would move the runs
    with low recall far, at a high price, so that the mean of the unmoved runs would lie above it and seem to beat
    threshold moving.
    """
    curves, edges = [], []
    for run in runs:  # only one run's scores are in memory at a time
        arrays = run.predictions("test_scores", "test_target")
        if arrays is not None:
            curves.append(threshold.curve(arrays[0], arrays[1], important))
            edges.append(np.unique(threshold.changes_of(arrays[0], arrays[1], important).d))
    if not curves:
        return None
    biases = np.unique(np.concatenate([curve.bias for curve in curves]))
    states = [np.searchsorted(edge, biases) for edge in edges]
    pairs = [(curve.accuracy[state], curve.recall[state]) for curve, state in zip(curves, states, strict=True)]
    accuracy, recall = np.mean(pairs, axis=0)
    first = np.minimum(np.searchsorted(recall, RECALLS - 1e-12), len(recall) - 1)
    best = [start + int(accuracy[start:].argmax()) for start in first]  # among all biases with at least this recall
    return MeanCurve(accuracy[best].tolist(), RECALLS.tolist(), biases[best].tolist())
