"""From runs to rows: which setting each method is judged by, and what it does on the test split.

A *case* is one data set, model and important class. In each case every method is judged by one setting, chosen on
validation and reported on test:

    argmax mean_s recall_val(s)  where  mean_s accuracy_val(s) >= mean_s accuracy_val(baseline, s) - tolerance
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from camri_exp.errors import UserError, nearest
from camri_exp.reporting.collect import Run
from camri_exp.reporting.grouping import Configuration, configurations_of, mean
from camri_exp.reporting.ranking import places
from camri_exp.reporting.threshold_baseline import moved_threshold

SELECTION_SPLIT = {"validation": "val", "paper": "test"}
SPLIT_NAMES = {"val": "validation", "test": "test"}
ROUNDING = 1e-9  # two accuracies that differ by less are one number, summed in another order


@dataclass(frozen=True)
class Protocol:
    """How settings are chosen: the baseline's name, the accuracy that may be lost, and the split to choose on."""

    baseline: str = "ce"
    tolerance: float = 0.0
    name: str = "validation"

    @property
    def split(self) -> str:
        if self.name not in SELECTION_SPLIT:
            raise UserError(f"protocol={self.name}: expected {' or '.join(SELECTION_SPLIT)}.")
        return SELECTION_SPLIT[self.name]


@dataclass(frozen=True, order=True)
class Task:
    data: str
    model: str
    important: tuple[int, ...]
    classes: str = field(compare=False)


@dataclass(frozen=True)
class MethodResult:
    """One method in one case, by seed, on the test split; empty where no setting keeps the baseline's accuracy."""

    method: str
    label: str
    recall: Mapping[int, float]
    accuracy: Mapping[int, float]
    selection_recall: float  # the mean that this row was chosen by
    configuration: Configuration | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted(self.recall))


@dataclass(frozen=True)
class TaskComparison:
    """One case: a row a method, the baseline's and threshold moving's own, all settings, and what to know of them."""

    task: Task
    baseline: MethodResult
    threshold: MethodResult | None
    methods: list[MethodResult]
    configurations: list[Configuration]
    notes: list[str]

    @property
    def rows(self) -> list[MethodResult]:
        return [self.baseline, *([self.threshold] if self.threshold else []), *self.methods]


def compare_methods(runs: Sequence[Run], protocol: Protocol) -> list[TaskComparison]:
    """One judgement a case.

    Raises:
        UserError: no run of the baseline in one of the cases, or no image of the important class to judge by.
    """
    return [_judge(case, [run for run in runs if _belongs(run, case)], protocol) for case in tasks_of(runs)]


def tasks_of(runs: Iterable[Run]) -> list[Task]:
    """Each data set, model and important class that runs were made for; class-free runs count only on their own."""
    places = defaultdict(list)
    for run in runs:
        places[run.data, run.model].append(run)
    found = {
        Task(run.data, run.model, run.important, ", ".join(run.class_names[i] for i in run.important))
        for group in places.values()
        for run in ([run for run in group if not run.class_free] or group)
    }
    return sorted(found)


def _belongs(run: Run, case: Task) -> bool:
    return (run.data, run.model) == (case.data, case.model) and (run.class_free or run.important == case.important)


def _judge(case: Task, runs: list[Run], protocol: Protocol) -> TaskComparison:
    settings = configurations_of(runs, case.important)
    _check_known(case, settings, protocol)
    own = [setting for setting in settings if setting.loss == protocol.baseline]
    if not own:
        losses = sorted({setting.loss for setting in settings})
        hint = nearest(protocol.baseline, losses) or f" There are {', '.join(losses)}."
        raise UserError(
            f"baseline={protocol.baseline}: no finished run of it for {case.classes} of {case.data} ({case.model})."
            f"{hint} Give baseline=NAME, or its sweep as well: sweep=DIR,DIR"
        )
    baseline = max(own, key=lambda setting: mean(setting.accuracy(protocol.split)))
    floor = mean(baseline.accuracy(protocol.split)) - protocol.tolerance
    others = dict.fromkeys(setting.loss for setting in settings if setting.loss != protocol.baseline)
    methods = {loss: [setting for setting in settings if setting.loss == loss] for loss in others}
    return TaskComparison(
        case,
        baseline=_row(protocol.baseline, baseline, protocol),
        threshold=_rival(baseline, protocol),
        methods=[_row(loss, choose(group, floor, protocol.split), protocol) for loss, group in methods.items()],
        configurations=settings,
        notes=_notes(baseline, len(own), methods),
    )


def _check_known(case: Task, settings: Iterable[Configuration], protocol: Protocol) -> None:
    for setting in settings:
        for split in dict.fromkeys((protocol.split, "test")):
            for seed, recall in setting.recall(split).items():
                if math.isnan(recall):
                    raise UserError(
                        f"{setting.runs[seed].folder}: the {SPLIT_NAMES[split]} split has no image of {case.classes}. "
                        "Its recall is not known: add images and train again, or move such runs out of the folder."
                    )


def choose(settings: Iterable[Configuration], floor: float, split: str) -> Configuration | None:
    """The setting with the best mean recall among those whose mean accuracy is at least ``floor``.

    Of equals in recall, to nine digits, the most accurate one: small validation sets have many.
    """
    keeping = [setting for setting in settings if mean(setting.accuracy(split)) >= floor - ROUNDING]
    return max(keeping, key=lambda s: (round(mean(s.recall(split)), 9), mean(s.accuracy(split))), default=None)


def _row(method: str, chosen: Configuration | None, protocol: Protocol) -> MethodResult:
    if chosen is None:
        return MethodResult(method, "", {}, {}, float("nan"))
    chosen_by = mean(chosen.recall(protocol.split))
    return MethodResult(method, chosen.label, chosen.recall("test"), chosen.accuracy("test"), chosen_by, chosen)


def _rival(baseline: Configuration, protocol: Protocol) -> MethodResult | None:
    """Threshold moving on the baseline's own runs, a bias a run; None where the runs left no predictions."""
    moved = {
        seed: result
        for seed, run in baseline.runs.items()
        if (result := moved_threshold(run, baseline.important, protocol.split, protocol.tolerance))
    }
    if not moved:
        return None
    return MethodResult(
        f"{protocol.baseline} + threshold",
        "bias chosen a run",
        {seed: result.recall for seed, result in moved.items()},
        {seed: result.accuracy for seed, result in moved.items()},
        mean({seed: result.selection_recall for seed, result in moved.items()}),
    )


def _notes(baseline: Configuration, baselines: int, methods: Mapping[str, Sequence[Configuration]]) -> list[str]:
    notes = [places(list(baseline.runs.values()), baseline.important)]
    if baselines > 1:
        notes.append(
            f"{baseline.loss} has {baselines} settings; the most accurate one ({baseline.label}) is the baseline."
        )
    everything = {baseline.loss: [baseline], **methods}
    for loss, settings in everything.items():
        other = [setting for setting in settings if set(setting.runs) != set(baseline.runs)]
        single = [setting for setting in settings if len(setting.runs) == 1]
        if other:
            notes.append(
                f"{loss}: {_count(other, settings)} other seeds than {baseline.loss} ({_seeds(baseline)}), "
                f"for example {other[0].label}: {_seeds(other[0])}. Differences use the seeds that both have."
            )
        if single:
            notes.append(f"{loss}: {_count(single, settings)} one seed only, so their spread is not known.")
    return notes


def _count(some: Sequence[Configuration], settings: Sequence[Configuration]) -> str:
    return f"{len(some)} of {len(settings)} settings {'has' if len(some) == 1 else 'have'}"


def _seeds(setting: Configuration) -> str:
    return "seeds " + ", ".join(map(str, sorted(setting.runs)))
