"""The evidence on one task: cross-fitted gains with their intervals, and what threshold moving gives in their place."""

import math
from dataclasses import dataclass

from camri_exp.reporting.cross_fitting import CrossFit, cross_fit
from camri_exp.reporting.crossed import NewImages, recall_for_new_images
from camri_exp.reporting.selection import MethodResult, Protocol, TaskComparison, rank
from camri_exp.reporting.statistics import UNKNOWN, Difference, difference


@dataclass(frozen=True)
class Evidence:
    """What a conclusion is drawn from. All differences are cross-fitted, of shares, and over common seeds.

    Attributes:
        best: the row of the loss with the best validation recall; None where no loss keeps the accuracy.
        gain: recall of the selected losses minus that of the baseline.
        accuracy: accuracy of the selected losses minus that of the baseline.
        lead: recall of the selected losses minus the largest that the baseline reaches at an accuracy at least as high
            with any threshold. The threshold is chosen on test, so that no method has more than it could have.
        new_images: the gain in recall with its CI for new images; None without predictions.
        threshold: the row of threshold moving with the better validation recall, before or after calibration.
        threshold_gain: its recall minus that of the baseline.
        threshold_accuracy: its accuracy minus that of the baseline.
        tried: the losses other than the baseline.
        common: how many seeds the best loss and the baseline have in common.
    """

    best: MethodResult | None
    gain: Difference
    accuracy: Difference
    lead: Difference
    new_images: NewImages | None
    threshold: MethodResult | None
    threshold_gain: Difference
    threshold_accuracy: Difference
    tried: list[str]
    common: int


def evidence_of(comparison: TaskComparison, protocol: Protocol) -> Evidence:
    """The evidence on one task; see ``Evidence``."""
    fit = cross_fit(comparison, protocol)
    baseline, threshold = comparison.baseline, _threshold_row(comparison)
    best = _best(comparison, protocol)
    return Evidence(
        best,
        difference(fit.recall),
        difference(fit.accuracy),
        difference(_leads(comparison, fit)),
        _new_images(comparison, fit),
        threshold,
        UNKNOWN if threshold is None else difference(threshold.recall, baseline.recall),
        UNKNOWN if threshold is None else difference(threshold.accuracy, baseline.accuracy),
        [row.method for row in comparison.methods],
        0 if best is None else len(best.recall.keys() & baseline.recall.keys()),
    )


def _best(comparison: TaskComparison, protocol: Protocol) -> MethodResult | None:
    baseline = comparison.baseline.configuration
    assert baseline is not None
    rows = [(row, row.configuration) for row in comparison.methods]
    ranked = [(rank(selected, baseline, protocol.split), row) for row, selected in rows if selected is not None]
    return max(ranked, key=lambda pair: pair[0], default=(None, None))[1]


def _leads(comparison: TaskComparison, fit: CrossFit) -> dict[int, float]:
    """By seed, the recall of the chosen configuration minus that of threshold moving at equal test accuracy."""
    moved = comparison.thresholds
    return {
        seed: chosen.recall("test")[seed] - moved[seed].recall_at(chosen.accuracy("test")[seed])
        for seed, chosen in fit.chosen.items()
        if seed in moved
    }


def _new_images(comparison: TaskComparison, fit: CrossFit) -> NewImages | None:
    baseline = comparison.baseline.configuration
    if baseline is None or not fit.chosen:
        return None
    runs = [chosen.runs[seed] for seed, chosen in fit.chosen.items()]
    return recall_for_new_images(runs, [baseline.runs[seed] for seed in fit.chosen], comparison.task.important)


def _threshold_row(comparison: TaskComparison) -> MethodResult | None:
    """Threshold moving or calibrated threshold moving, whichever has the better validation recall."""
    rows = [row for row in (comparison.threshold, comparison.calibrated) if row is not None]
    return max(
        rows, key=lambda row: -math.inf if math.isnan(row.selection_recall) else row.selection_recall, default=None
    )
