"""The conclusion on each task: which method to use, what it gains and costs, and whether the evidence is sufficient.

The best loss is the one whose selected configuration has the best recall on validation; only this loss is tested, so
that the choice does not depend on the test split. A difference is *shown* when its 95 % CI over common seeds excludes
zero.
"""

import math
from dataclasses import dataclass

from camri_exp.records import Number, Record
from camri_exp.reporting.selection import MethodResult, TaskComparison
from camri_exp.reporting.statistics import Difference, difference, seeds_needed

MARGIN = 0.005  # loss of accuracy that is tolerated: half a percentage point
MOST_SEEDS = 200  # more seeds are not suggested: a difference that small does not matter
THRESHOLD = "threshold"
UNKNOWN = Difference(math.nan, math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class RecallGain:
    """Recall of the best loss minus that of the baseline, and the number of common seeds."""

    mean: Number
    low: Number
    high: Number
    shown: bool
    seeds: int


@dataclass(frozen=True)
class AccuracyChange:
    """Accuracy of the best loss minus that of the baseline.

    ``non_inferior``: whether ``low`` is above ``-margin``; None without a CI.
    """

    mean: Number
    low: Number
    high: Number
    non_inferior: bool | None
    margin: float = MARGIN


@dataclass(frozen=True)
class ThresholdLead:
    """Recall of the best loss minus that of threshold moving."""

    mean: Number
    low: Number
    high: Number
    shown: bool


@dataclass(frozen=True)
class TaskConclusion:
    """The conclusion on one task; all numbers are shares: 0.021 is 2.1 percentage points.

    ``recommended`` is a loss, ``threshold`` for threshold moving, the baseline, or None if the evidence is not
    sufficient; ``configuration`` is the label of its configuration, for ``threshold`` that of the baseline whose
    threshold is moved. ``gain``, ``accuracy`` and ``against_threshold`` are about ``best_loss`` in
    ``best_configuration``, whether it is recommended or not.
    """

    data: str
    model: str
    important_class: list[int]
    important_class_names: list[str]
    baseline: str
    recommended: str | None
    configuration: str | None
    gain: RecallGain
    accuracy: AccuracyChange
    against_threshold: ThresholdLead
    sentence: str
    best_loss: str | None = None
    best_configuration: str | None = None


@dataclass(frozen=True, kw_only=True)
class Conclusions(Record):
    """``conclusions.json``: what a report concludes, for programs."""

    tasks: list[TaskConclusion]


def conclude(comparison: TaskComparison) -> TaskConclusion:
    """The conclusion on one task; see the module for its rule."""
    task, base, threshold = comparison.task, comparison.baseline, comparison.threshold
    best = max((row for row in comparison.methods if row.seeds), key=lambda row: row.selection_recall, default=None)
    gain = UNKNOWN if best is None else difference(best.recall, base.recall)
    accuracy = UNKNOWN if best is None else difference(best.accuracy, base.accuracy)
    lead = UNKNOWN if best is None or threshold is None else difference(best.recall, threshold.recall)
    recommended, sentence = _decide(comparison, best, gain, accuracy, lead)
    label = None if recommended is None else base.label
    if best is not None and recommended == best.method:
        label = best.label
    return TaskConclusion(
        data=task.data,
        model=task.model,
        important_class=list(task.important),
        important_class_names=list(task.important_names),
        baseline=base.method,
        recommended=recommended,
        configuration=label,
        gain=RecallGain(gain.mean, gain.low, gain.high, gain.shown, gain.n),
        accuracy=AccuracyChange(
            accuracy.mean, accuracy.low, accuracy.high, accuracy.low > -MARGIN if accuracy.known else None
        ),
        against_threshold=ThresholdLead(lead.mean, lead.low, lead.high, lead.shown),
        sentence=f"For {task.classes} of {task.data}: {sentence}",
        best_loss=None if best is None else best.method,
        best_configuration=None if best is None else best.label,
    )


def _decide(
    comparison: TaskComparison, best: MethodResult | None, gain: Difference, accuracy: Difference, lead: Difference
) -> tuple[str | None, str]:
    """What is recommended, and the sentence that says why."""
    base, threshold = comparison.baseline, comparison.threshold
    if best is None:
        return _without_candidate(comparison)
    result = f"{_describe(best)}: {_effect(gain, accuracy, base.method)}"
    if not gain.shown_gain:
        return _without_gain(result, best, base, gain, threshold)
    if accuracy.high < -MARGIN:
        return _without_loss(base, threshold, f"{result}: worse than the margin of {100 * MARGIN:g} pp allows.")
    if threshold is None:
        return best.method, f"use {result}. Not compared with threshold moving: the baseline has no predictions.npz."
    if not lead.known:
        return best.method, f"use {result}. Not compared with {threshold.method}: {_common(lead.n)}."
    if lead.shown_gain:
        return best.method, f"use {result}; recall {_points(lead)} vs. {threshold.method}."
    if lead.shown:
        return THRESHOLD, f"use {threshold.method}. {result}, but recall {_points(lead)} vs. {threshold.method}."
    text = f"use {threshold.method}, which needs no training. {result}; no difference in recall to {threshold.method} "
    text += f"is shown: {_points(lead)}"
    return THRESHOLD, text + (f", {_seeds_to_go(lead)}." if lead.mean > 0 else ".")


def _without_candidate(comparison: TaskComparison) -> tuple[str | None, str]:
    """No loss has a configuration that keeps the baseline's accuracy on validation."""
    base = comparison.baseline.method
    if not comparison.methods:
        return None, f"there are only runs of {base}. Add runs of another loss."
    tried = ", ".join(row.method for row in comparison.methods)
    reason = f"No configuration of {tried} keeps the accuracy of {base} on validation; to allow less: tolerance=0.005"
    return _without_loss(comparison.baseline, comparison.threshold, reason)


def _without_gain(
    result: str, best: MethodResult, base: MethodResult, gain: Difference, threshold: MethodResult | None
) -> tuple[str | None, str]:
    """The best loss on validation is not shown to find more than the baseline on test; ``result`` describes it."""
    if gain.shown:
        return _without_loss(base, threshold, f"{result}.")
    if gain.known:
        text = f"not enough evidence: {result}; {_seeds_to_go(gain)}."
    else:
        text = f"not enough evidence: {_describe(best)} and {base.method} have {_common(gain.n)}, and a CI needs two. "
        text += "Start with five seeds."
    moved = _shown_threshold(base, threshold)
    return (None, text) if moved is None else (THRESHOLD, f"{text} Until then, use {moved}.")


def _without_loss(base: MethodResult, threshold: MethodResult | None, reason: str) -> tuple[str, str]:
    """No loss is recommended: threshold moving where its gain over the baseline is shown, else the baseline."""
    moved = _shown_threshold(base, threshold)
    return (base.method, f"use {base.method}. {reason}") if moved is None else (THRESHOLD, f"use {moved}. {reason}")


def _shown_threshold(base: MethodResult, threshold: MethodResult | None) -> str | None:
    """What threshold moving gains over the baseline; None where no gain is shown."""
    gain = UNKNOWN if threshold is None else difference(threshold.recall, base.recall)
    if threshold is None or not gain.shown_gain:
        return None
    return f"{threshold.method}: {_effect(gain, difference(threshold.accuracy, base.accuracy), base.method)}"


def _describe(result: MethodResult) -> str:
    return f"{result.method} ({result.label})" if result.label else result.method


def _effect(gain: Difference, accuracy: Difference, reference: str) -> str:
    """``recall +22.4 pp (95 % CI 3.8 to 41.1) vs. ce, accuracy +0.7 pp (0.0 to 1.4), 5 seeds``."""
    change = f"{_percent(accuracy.mean):+.1f} pp ({_limits(accuracy)})"
    return f"recall {_points(gain)} vs. {reference}, accuracy {change}, {gain.n} seeds"


def _points(change: Difference) -> str:
    """``+2.1 pp (95 % CI 0.4 to 3.8)``."""
    return f"{_percent(change.mean):+.1f} pp (95 % CI {_limits(change)})"


def _limits(change: Difference) -> str:
    return f"{_percent(change.low):.1f} to {_percent(change.high):.1f}"


def _percent(share: float) -> float:
    return round(100 * share, 1) + 0.0  # the sum turns -0.0 into 0.0


def _common(count: int) -> str:
    return f"{count or 'no'} common seed{'s' * (count != 1)}"


def _seeds_to_go(change: Difference) -> str:
    """How many more seeds would show the difference, if its mean and spread stay as they are."""
    if change.mean <= 0:
        return "more seeds are not expected to change the sign"
    needed = seeds_needed(change, most=MOST_SEEDS)
    if needed is None:
        return f"not even {MOST_SEEDS} seeds would show a difference this small"
    missing = max(needed - change.n, 1)
    return f"if mean and spread stay the same, {missing} more seed{'s' * (missing != 1)} would show a difference"
