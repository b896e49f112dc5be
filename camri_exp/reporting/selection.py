"""From runs to results of methods: which configuration of each method counts, and its results on the test split.

A *task* is one data set, model and important class. In each task one configuration of every method is selected on
validation and reported on test, where s are the seeds:

    argmax mean_s recall_val(s)  where  mean_s accuracy_val(s) >= mean_s accuracy_val(baseline, s) - tolerance
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from camri_exp.errors import UserError, nearest
from camri_exp.reporting.collect import Run
from camri_exp.reporting.grouping import Configuration, configurations_of, mean
from camri_exp.reporting.ranking import describe_ranks
from camri_exp.reporting.threshold_baseline import moved_threshold

SELECTION_SPLIT = {"validation": "val", "paper": "test"}
SPLIT_NAMES = {"val": "validation", "test": "test"}
ROUNDING = 1e-9  # the same mean, summed in another order, differs by less


@dataclass(frozen=True)
class Protocol:
    """How configurations are selected: name of the baseline, accuracy that may be lost, and the split to select on."""

    baseline: str = "ce"
    tolerance: float = 0.0
    name: str = "validation"

    @property
    def split(self) -> str:
        """``val`` or ``test``."""
        return SELECTION_SPLIT[self.name]


@dataclass(frozen=True, order=True)
class Task:
    """A data set, a model, and the ids and names of the important classes."""

    data: str
    model: str
    important: tuple[int, ...]
    important_names: tuple[str, ...] = field(compare=False)

    @property
    def classes(self) -> str:
        """The names of the important classes in one string."""
        return ", ".join(self.important_names)


@dataclass(frozen=True)
class MethodResult:
    """Recall and accuracy of one method by seed, on test; empty where no configuration keeps the baseline's accuracy.

    ``selection_recall`` is the mean recall on the split that the configuration was selected on; ``label`` is the
    configuration's label, or says how a threshold was tuned.
    """

    method: str
    label: str
    recall: Mapping[int, float]
    accuracy: Mapping[int, float]
    selection_recall: float
    configuration: Configuration | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted(self.recall))


@dataclass(frozen=True)
class TaskComparison:
    """The methods of one task: baseline, threshold moving (None without predictions), and the other losses.

    ``configurations`` are those of all methods; ``notes`` are sentences on what could mislead.
    """

    task: Task
    baseline: MethodResult
    threshold: MethodResult | None
    methods: list[MethodResult]
    configurations: list[Configuration]
    notes: list[str]

    @property
    def rows(self) -> list[MethodResult]:
        """All methods in the order of the tables."""
        return [self.baseline, *([self.threshold] if self.threshold else []), *self.methods]


def compare_methods(runs: Sequence[Run], protocol: Protocol) -> list[TaskComparison]:
    """One comparison per task.

    Raises:
        UserError: no run of the baseline in one of the tasks, or no image of its important class.
    """
    comparisons = []
    for task in tasks_of(runs):
        there = [run for run in runs if (run.data, run.model) == (task.data, task.model)]
        members = [run for run in there if run.class_free or run.important == task.important]
        comparisons.append(_compare(task, members, protocol))
    return comparisons


def tasks_of(runs: Iterable[Run]) -> list[Task]:
    """Each data set, model and important class of the runs.

    The important class of a class-free run makes a task only where there are class-free runs alone, because such runs
    were trained with an arbitrary one.
    """
    groups = defaultdict(list)
    for run in runs:
        groups[run.data, run.model].append(run)
    tasks = {
        Task(run.data, run.model, run.important, tuple(run.class_names[k] for k in run.important))
        for group in groups.values()
        for run in ([run for run in group if not run.class_free] or group)
    }
    return sorted(tasks)


def _compare(task: Task, runs: list[Run], protocol: Protocol) -> TaskComparison:
    _check_images(task, runs)
    configurations = configurations_of(runs, task.important)
    _check_recalls(task, configurations, protocol)
    by_loss: dict[str, list[Configuration]] = {}
    for configuration in configurations:
        by_loss.setdefault(configuration.loss, []).append(configuration)
    baselines = by_loss.pop(protocol.baseline, [])
    if not baselines:
        hint = nearest(protocol.baseline, sorted(by_loss)) or f" There are {', '.join(sorted(by_loss))}."
        raise UserError(
            f"baseline={protocol.baseline}: no finished run of it for {task.classes} of {task.data} ({task.model})."
            f"{hint} Give baseline=NAME, or add the sweep with its runs: sweep=DIR,DIR"
        )
    baseline = max(baselines, key=lambda configuration: mean(configuration.accuracy(protocol.split)))
    floor = accuracy_floor(baseline, protocol)
    return TaskComparison(
        task,
        baseline=_result(protocol.baseline, baseline, protocol),
        threshold=_threshold_baseline(baseline, protocol),
        methods=[_result(loss, select(group, floor, protocol.split), protocol) for loss, group in by_loss.items()],
        configurations=configurations,
        notes=_notes(baseline, len(baselines), by_loss),
    )


def _check_images(task: Task, runs: Iterable[Run]) -> None:
    """Runs of earlier versions have no fingerprint of their test images and are compared with any other."""
    first: dict[int | None, Run] = {}  # by fold: each tests other images
    for run in runs:
        if run.data_fingerprint is None:
            continue
        one = first.setdefault(run.fold, run)
        if one.data_fingerprint != run.data_fingerprint:
            raise UserError(
                f"{one.folder} and {run.folder} were tested on different images of {task.data}: the data, or a key "
                "that selects it, changed between them. Report them separately, or train the older runs again."
            )


def _check_recalls(task: Task, configurations: Iterable[Configuration], protocol: Protocol) -> None:
    for configuration in configurations:
        for split in dict.fromkeys((protocol.split, "test")):
            for seed, recall in configuration.recall(split).items():
                if math.isnan(recall):
                    raise UserError(
                        f"{configuration.runs[seed].folder}: the {SPLIT_NAMES[split]} split has no image of "
                        f"{task.classes}, so that its recall is not known. Add images and train again, or move such "
                        "runs out of the folder."
                    )


def accuracy_floor(baseline: Configuration, protocol: Protocol) -> float:
    """The mean accuracy that a configuration needs to be selected: the baseline's, minus what may be lost."""
    return mean(baseline.accuracy(protocol.split)) - protocol.tolerance


def keeps_accuracy(configuration: Configuration, floor: float, split: str) -> bool:
    return mean(configuration.accuracy(split)) >= floor - ROUNDING


def select(configurations: Iterable[Configuration], floor: float, split: str) -> Configuration | None:
    """The configuration with the best mean recall among those whose mean accuracy is at least ``floor``.

    Of equal recalls, to nine digits, the most accurate configuration: on small validation sets many are equal.
    """
    accurate = [c for c in configurations if keeps_accuracy(c, floor, split)]
    return max(accurate, key=lambda c: (round(mean(c.recall(split)), 9), mean(c.accuracy(split))), default=None)


def _result(method: str, selected: Configuration | None, protocol: Protocol) -> MethodResult:
    if selected is None:
        return MethodResult(method, "", {}, {}, math.nan)
    selection_recall = mean(selected.recall(protocol.split))
    return MethodResult(
        method, selected.label, selected.recall("test"), selected.accuracy("test"), selection_recall, selected
    )


def _threshold_baseline(baseline: Configuration, protocol: Protocol) -> MethodResult | None:
    """Threshold moving on each run of the baseline; None where the runs left no predictions."""
    moved = {
        seed: result
        for seed, run in baseline.runs.items()
        if (result := moved_threshold(run, baseline.important, protocol.split, protocol.tolerance))
    }
    if not moved:
        return None
    return MethodResult(
        f"{protocol.baseline} + threshold",
        "bias tuned per run",
        {seed: result.recall for seed, result in moved.items()},
        {seed: result.accuracy for seed, result in moved.items()},
        mean({seed: result.selection_recall for seed, result in moved.items()}),
    )


def _notes(baseline: Configuration, baselines: int, methods: Mapping[str, Sequence[Configuration]]) -> list[str]:
    notes = [describe_ranks(list(baseline.runs.values()), baseline.important)]
    if baselines > 1:
        notes.append(
            f"{baseline.loss} has {baselines} configurations; the most accurate one ({baseline.label}) is the baseline."
        )
    for loss, configurations in {baseline.loss: [baseline], **methods}.items():
        other = [c for c in configurations if set(c.runs) != set(baseline.runs)]
        single = [c for c in configurations if len(c.runs) == 1]
        if other:
            notes.append(
                f"{loss}: {_count(other, configurations)} other seeds than {baseline.loss} ({_seeds(baseline)}), "
                f"for example {other[0].label}: {_seeds(other[0])}. Differences use the common seeds."
            )
        if single:
            notes.append(f"{loss}: {_count(single, configurations)} a single seed, so that their spread is not known.")
    return notes


def _count(some: Sequence[Configuration], configurations: Sequence[Configuration]) -> str:
    return f"{len(some)} of {len(configurations)} configurations {'has' if len(some) == 1 else 'have'}"


def _seeds(configuration: Configuration) -> str:
    return "seeds " + ", ".join(map(str, sorted(configuration.runs)))
