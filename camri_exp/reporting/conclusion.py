"""The conclusion on each task: which method to use, what it gains and costs, and whether the evidence is sufficient.

Gains are cross-fitted (``camri_exp.reporting.cross_fitting``). A loss is recommended only where

- its gain in recall is shown: the p-values of all tasks of a report are compared by Holm's rule,
- its accuracy is not shown to be worse than the margin allows, and
- it is shown to find more than the baseline with the best threshold of equal accuracy.

Threshold moving is recommended where its own gain is shown and its accuracy is shown to be kept to within the margin.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from camri_exp.records import Number, Record
from camri_exp.reporting.evidence import Evidence, evidence_of
from camri_exp.reporting.selection import Protocol, TaskComparison
from camri_exp.reporting.sentences import sentence
from camri_exp.reporting.statistics import Difference, holm

THRESHOLD = "threshold"


@dataclass(frozen=True)
class GainForNewImages:
    """The CI of the gain for new images and new seeds, over ``count`` ``unit``: images or groups."""

    low: Number
    high: Number
    count: int
    unit: str


@dataclass(frozen=True)
class RecallGain:
    """Recall of the selected losses minus that of the baseline, cross-fitted, and the number of seeds.

    ``low`` and ``high`` are for new seeds on these test images. ``shown`` is Holm's decision over the tasks.
    """

    mean: Number
    low: Number
    high: Number
    shown: bool
    seeds: int
    new_images: GainForNewImages | None = None


@dataclass(frozen=True)
class AccuracyChange:
    """Accuracy of the selected losses minus that of the baseline, cross-fitted.

    ``non_inferior``: whether its CI lies above ``-margin``; None without a CI.
    """

    mean: Number
    low: Number
    high: Number
    non_inferior: bool | None
    margin: float


@dataclass(frozen=True)
class ThresholdLead:
    """Recall of the selected losses minus the largest of the baseline with a threshold of equal accuracy, on test.

    ``equivalent``: whether two one-sided tests show it to be smaller than the gain that is worth having.
    """

    mean: Number
    low: Number
    high: Number
    shown: bool
    equivalent: bool | None = None


@dataclass(frozen=True)
class TaskConclusion:
    """The conclusion on one task; all numbers are shares: 0.021 is 2.1 percentage points.

    ``recommended`` is a loss, ``threshold`` for threshold moving, the baseline, or None if the evidence is not
    sufficient; ``configuration`` is the label of its configuration, for ``threshold`` that of the baseline whose
    threshold is moved. ``best_loss`` in ``best_configuration`` is the selected loss, recommended or not.
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


def conclude(comparisons: Sequence[TaskComparison], protocol: Protocol) -> list[TaskConclusion]:
    """The conclusions on the tasks of one report; see the module for the rule."""
    evidence = [evidence_of(comparison, protocol) for comparison in comparisons]
    shown = holm([known.gain.p_value for known in evidence])
    return [_conclusion(*parts, protocol) for parts in zip(comparisons, evidence, shown, strict=True)]


def recommendation(evidence: Evidence, baseline: str, shown: bool, protocol: Protocol) -> str | None:
    """The recommended method; ``shown`` says whether the change in recall is."""
    gains, best = shown and evidence.gain.mean > 0, evidence.best
    if best is not None and gains and not is_worse(evidence.accuracy, protocol.margin):
        if evidence.threshold is None or not evidence.lead.n:
            return best.method
        if evidence.lead.shown_gain:
            return best.method
        return THRESHOLD if threshold_is_proven(evidence, protocol.margin) else None
    if threshold_is_proven(evidence, protocol.margin):
        return THRESHOLD
    known = shown or (best is None and evidence.tried)
    return baseline if known else None


def is_worse(accuracy: Difference, margin: float) -> bool:
    """Whether accuracy is shown to be worse than ``margin`` allows; where all seeds agree, by their common value."""
    return (accuracy.high if accuracy.known else accuracy.mean) < -margin


def threshold_is_proven(evidence: Evidence, margin: float) -> bool:
    """Whether threshold moving is shown to gain recall, and shown to cost at most ``margin`` of accuracy."""
    return evidence.threshold_gain.shown_gain and bool(evidence.threshold_accuracy.above(-margin))


def _conclusion(comparison: TaskComparison, evidence: Evidence, shown: bool, protocol: Protocol) -> TaskConclusion:
    task, base, best = comparison.task, comparison.baseline, evidence.best
    gain, accuracy, lead = evidence.gain, evidence.accuracy, evidence.lead
    recommended = recommendation(evidence, base.method, shown, protocol)
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
        gain=RecallGain(gain.mean, gain.low, gain.high, shown, gain.n, _new_images(evidence)),
        accuracy=AccuracyChange(
            accuracy.mean, accuracy.low, accuracy.high, accuracy.above(-protocol.margin), protocol.margin
        ),
        against_threshold=ThresholdLead(lead.mean, lead.low, lead.high, lead.shown, lead.within(protocol.worth)),
        sentence=f"For {task.classes} of {task.data}: {sentence(evidence, base.method, recommended, shown, protocol)}",
        best_loss=None if best is None else best.method,
        best_configuration=None if best is None else best.label,
    )


def _new_images(evidence: Evidence) -> GainForNewImages | None:
    if (new := evidence.new_images) is None:
        return None
    return GainForNewImages(new.interval.low, new.interval.high, new.units, "groups" if new.grouped else "images")
