"""From runs to results of methods: which configuration of each method counts, and its results on the test split.

In each task one configuration of every method is selected on validation and reported on test, where s are the seeds
that it has in common with the baseline:

    argmax mean_s recall_val(s)  where  mean_s accuracy_val(s) >= mean_s accuracy_val(baseline, s) - tolerance

What is claimed of these rows is judged apart from their selection; see ``camri_exp.reporting.cross_fitting``.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from camri_exp.data.splits import NOUNS
from camri_exp.errors import UserError, nearest
from camri_exp.reporting.grouping import Configuration, configurations_of, mean
from camri_exp.reporting.notes import notes_on
from camri_exp.reporting.runs import Run
from camri_exp.reporting.tasks import Task, runs_of, tasks_of
from camri_exp.reporting.threshold_baseline import MovedThreshold, Thresholds, thresholds

SELECTION_SPLIT = {"validation": "val", "paper": "test"}
ROUNDING = 1e-9  # the same mean, summed in another order, differs by less


@dataclass(frozen=True)
class Protocol:
    """How configurations are selected and judged.

    Attributes:
        baseline: the loss that all others are compared with.
        tolerance: validation accuracy that may be lost.
        name: ``validation``, or ``paper`` to select on the test split.
        margin: a loss of test accuracy that does not matter, as a share.
        worth: the smallest gain in recall that is worth having, as a share.
    """

    baseline: str = "ce"
    tolerance: float = 0.0
    name: str = "validation"
    margin: float = 0.005
    worth: float = 0.02

    @property
    def split(self) -> str:
        """``val`` or ``test``."""
        return SELECTION_SPLIT[self.name]


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

    ``calibrated`` is threshold moving after calibration. ``thresholds`` holds both by seed of the baseline.
    ``configurations`` are those of all methods, ``candidates`` those of other losses that can be selected, because
    they have enough seeds in common with the baseline. ``notes`` are sentences on what could mislead.
    """

    task: Task
    baseline: MethodResult
    threshold: MethodResult | None
    methods: list[MethodResult]
    configurations: list[Configuration]
    notes: list[str]
    calibrated: MethodResult | None = None
    candidates: Sequence[Configuration] = ()
    thresholds: Mapping[int, Thresholds] = field(default_factory=dict)

    @property
    def rows(self) -> list[MethodResult]:
        """All methods in the order of the tables."""
        moved = [row for row in (self.threshold, self.calibrated) if row is not None]
        return [self.baseline, *moved, *self.methods]


def compare_methods(runs: Sequence[Run], protocol: Protocol) -> list[TaskComparison]:
    """One comparison per task.

    Raises:
        UserError: no run of the baseline in one of the tasks, or no image of its important class.
    """
    return [_compare(task, runs_of(task, runs), protocol) for task in tasks_of(runs)]


def _compare(task: Task, runs: list[Run], protocol: Protocol) -> TaskComparison:
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
    baseline = most_accurate(baselines, protocol.split)
    candidates = {loss: [c for c in group if has_enough_seeds(c, baseline)] for loss, group in by_loss.items()}
    by_seed = _thresholds(baseline, protocol)
    return TaskComparison(
        task,
        baseline=_result(protocol.baseline, baseline, protocol),
        threshold=_moved_row(protocol, "threshold", {s: t.moved for s, t in by_seed.items()}),
        methods=[_result(loss, select(group, baseline, protocol), protocol) for loss, group in candidates.items()],
        configurations=configurations,
        notes=notes_on(baseline, len(baselines), by_loss, candidates),
        calibrated=_moved_row(
            protocol, "calibrated threshold", {s: t.calibrated for s, t in by_seed.items() if t.calibrated}
        ),
        candidates=[c for group in candidates.values() for c in group],
        thresholds=by_seed,
    )


def _check_recalls(task: Task, configurations: Iterable[Configuration], protocol: Protocol) -> None:
    for configuration in configurations:
        for split in dict.fromkeys((protocol.split, "test")):
            for seed, recall in configuration.recall(split).items():
                if math.isnan(recall):
                    raise UserError(
                        f"{configuration.runs[seed].folder}: the {NOUNS[split]} split has no image of "
                        f"{task.classes}, so that its recall is not known. Add images and train again, or move such "
                        "runs out of the folder."
                    )


def seeds_needed_of(baseline: Configuration) -> int:
    """How many seeds of the baseline a configuration must have: half of them, and two where the baseline has two.

    Otherwise a single run on an easy split could be selected, and hide a configuration with many seeds.
    """
    return min(max(2, math.ceil(len(baseline.runs) / 2)), len(baseline.runs))


def has_enough_seeds(configuration: Configuration, baseline: Configuration) -> bool:
    return len(configuration.runs.keys() & baseline.runs.keys()) >= seeds_needed_of(baseline)


def most_accurate(baselines: Sequence[Configuration], split: str) -> Configuration:
    """The configuration with the best mean accuracy over the seeds that all have, of those with half of the seeds."""
    most = max(baselines, key=lambda c: len(c.runs))
    enough = [c for c in baselines if has_enough_seeds(c, most)]
    common = set.intersection(*(set(c.runs) for c in enough)) or set(most.runs)
    enough = [c for c in enough if common <= set(c.runs)]
    return max(enough, key=lambda c: mean({seed: c.accuracy(split)[seed] for seed in common}))


def accuracy_loss(configuration: Configuration, baseline: Configuration, split: str) -> float:
    """Mean accuracy of the baseline minus that of ``configuration``, over their common seeds; NaN without any."""
    mine, other = configuration.accuracy(split), baseline.accuracy(split)
    losses = {seed: other[seed] - mine[seed] for seed in mine.keys() & other.keys()}
    return mean(losses) if losses else math.nan


def keeps_accuracy(configuration: Configuration, baseline: Configuration, protocol: Protocol) -> bool:
    return accuracy_loss(configuration, baseline, protocol.split) <= protocol.tolerance + ROUNDING


def select(
    configurations: Iterable[Configuration], baseline: Configuration, protocol: Protocol
) -> Configuration | None:
    """The configuration with the best mean gain in recall among those that keep the accuracy of the baseline.

    Recall and accuracy are compared with the baseline over common seeds. Of equal recalls, to nine digits, the most
    accurate configuration is selected: on small validation sets many are equal.
    """
    accurate = [c for c in configurations if keeps_accuracy(c, baseline, protocol)]
    return max(accurate, key=lambda c: rank(c, baseline, protocol.split), default=None)


def rank(configuration: Configuration, baseline: Configuration, split: str) -> tuple[float, float]:
    """Mean gain in recall over common seeds, rounded, then the gain in accuracy: what selection compares."""
    mine, other = configuration.recall(split), baseline.recall(split)
    gains = {seed: mine[seed] - other[seed] for seed in mine.keys() & other.keys()}
    return round(mean(gains), 9), -accuracy_loss(configuration, baseline, split)


def _result(method: str, selected: Configuration | None, protocol: Protocol) -> MethodResult:
    if selected is None:
        return MethodResult(method, "", {}, {}, math.nan)
    selection_recall = mean(selected.recall(protocol.split))
    return MethodResult(
        method, selected.label, selected.recall("test"), selected.accuracy("test"), selection_recall, selected
    )


def _thresholds(baseline: Configuration, protocol: Protocol) -> dict[int, Thresholds]:
    """Threshold moving on each run of the baseline that left predictions."""
    made = {
        seed: thresholds(run, baseline.important, protocol.split, protocol.tolerance, protocol.margin)
        for seed, run in baseline.runs.items()
    }
    return {seed: moved for seed, moved in made.items() if moved is not None}


def _moved_row(protocol: Protocol, name: str, moved: Mapping[int, MovedThreshold]) -> MethodResult | None:
    if not moved:
        return None
    return MethodResult(
        f"{protocol.baseline} + {name}",
        "bias tuned per run",
        {seed: result.recall for seed, result in moved.items()},
        {seed: result.accuracy for seed, result in moved.items()},
        mean({seed: result.selection_recall for seed, result in moved.items()}),
    )
