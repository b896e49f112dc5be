"""The runs below the folders of sweeps: one record per finished run, and what is missing or damaged."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from camri_exp.errors import UserError
from camri_exp.files import is_claimed
from camri_exp.reporting.runs import Run
from camri_exp.results import FAILURE, JOB, RESULT, FailureRecord, JobRecord, RunResult
from camri_exp.stored_config import CONFIG
from camri_exp.sweep_plan import PLAN, read_plan

RUN_FILES = {RESULT, FAILURE, JOB, CONFIG}
# Overrides that other fields of a run contain, or that do not change what it computes.
NOT_IN_LABELS = (
    "seed=",
    "data.fold=",
    "sweep.",
    "logger",
    "baseline=",
    "ranking_sweep=",
    "experiment=",
    "loss=",
    "loss.",
    "important_class=",
)


@dataclass(frozen=True)
class Unfinished:
    """A run without a usable result: ``failed``, ``running``, ``interrupted``, ``not started`` or ``damaged``."""

    folder: Path
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Collection:
    """Finished runs, unfinished ones, how many runs were left out as duplicates, and messages on damaged plans."""

    runs: list[Run]
    unfinished: list[Unfinished]
    duplicates: int
    damaged_plans: list[str]

    @property
    def damaged(self) -> list[str]:
        """One message for each file that was skipped because it is damaged."""
        unfinished = (run.reason for run in self.unfinished if run.state == "damaged")
        return [*self.damaged_plans, *unfinished, *(message for run in self.runs for message in run.damaged)]


def collect(sweeps: Iterable[str | Path]) -> Collection:
    """All runs below the folders ``sweeps``. Damaged files are skipped; ``Collection.damaged`` names them.

    Raises:
        UserError: a folder that does not exist, or no finished run in any of them.
    """
    folders = [Path(sweep) for sweep in sweeps]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"sweep={folder}: there is no such folder. A sweep's folder is logs/sweeps/<sweep.name>.")
    damaged_plans: list[str] = []
    jobs = dict.fromkeys(job for folder in folders for job in _jobs(folder, damaged_plans))
    records = [_read(job) for job in jobs]
    finished = [record for record in records if isinstance(record, Run)]
    unfinished = [record for record in records if isinstance(record, Unfinished)]
    if not finished:
        where = ", ".join(map(str, folders))
        raise UserError(f"sweep={where}: no finished run (no result.json) below it; {len(unfinished)} unfinished.")
    unique = {(run.setting, run.seed, () if run.class_free else run.important): run for run in reversed(finished)}
    runs = list(unique.values())[::-1]  # the first of equal runs
    return Collection(runs, unfinished, len(finished) - len(runs), list(dict.fromkeys(damaged_plans)))


def _jobs(folder: Path, damaged_plans: list[str]) -> Iterator[Path]:
    """Folders of runs below ``folder``, including those that a sweep planned but never started."""
    for path, below, files in os.walk(folder):
        below.sort()
        if PLAN in files:
            try:
                yield from (Path(path) / job for job in read_plan(Path(path)))
            except UserError as error:
                damaged_plans.append(str(error))
        if RUN_FILES & set(files):
            below.clear()
            yield Path(path)


def _read(folder: Path) -> Run | Unfinished:
    state = "damaged"
    try:
        if (folder / RESULT).is_file():
            return _run(folder, RunResult.of(folder))
        if (folder / FAILURE).is_file():
            state = "failed"  # also where the reason cannot be read
            return Unfinished(folder, state, FailureRecord.read(folder / FAILURE).error)
        return Unfinished(folder, _state(folder))
    except UserError as error:
        return Unfinished(folder, state, str(error))
    except OSError as error:  # such as a planned name that is longer than the file system allows
        return Unfinished(folder, "damaged", f"{folder} cannot be read: {error.strerror}.")


def _state(folder: Path) -> str:
    """The state of a run with neither result nor failure.

    A killed job leaves ``running`` in its record. Its claim ends with the process, so that a run is going on exactly
    when its folder is claimed. A run outside of sweeps has no record.
    """
    if not any((folder / name).is_file() for name in (JOB, CONFIG)):
        return "not started"
    try:
        state = JobRecord.read(folder / JOB).state if (folder / JOB).is_file() else "running"
    except UserError:  # a damaged record
        state = "interrupted"
    return "running" if state == "running" and is_claimed(folder) else "interrupted"


def _run(folder: Path, result: RunResult) -> Run:
    return Run(
        folder=folder,
        data=result.data,
        model=result.model,
        loss=result.loss,
        seed=result.repetition,
        fold=result.fold,
        important=tuple(sorted(result.important_class)),  # [a, b] and [b, a] are one task
        class_names=tuple(result.class_names),
        setting=result.setting,
        class_free=result.class_free,
        parameters=result.loss_parameters,
        overrides=tuple(sorted(item for item in result.overrides if not item.lstrip("+~").startswith(NOT_IN_LABELS))),
        metrics={"val": result.val, "test": result.test},
        fit_seconds=result.fit_seconds,
        angles=result.angles,
        data_fingerprint=result.data_fingerprint,
    )
