"""Tasks: a data set, a model and the important class, and the runs that count for each."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from camri_exp.errors import UserError
from camri_exp.reporting.runs import Run


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


def runs_of(task: Task, runs: Sequence[Run]) -> list[Run]:
    """The runs that count for ``task``.

    Raises:
        UserError: they were tested on different images.
    """
    there = [run for run in runs if (run.data, run.model) == (task.data, task.model)]
    members = [run for run in there if run.class_free or run.important == task.important]
    _check_images(task, members)
    return members


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
