"""What the runs of sweeps left on disk: one record a run, and what is missing."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.errors import UserError
from camri_exp.results import (
    FAILURE,
    JOB,
    PREDICTIONS,
    RESULT,
    AngleStatistics,
    FailureRecord,
    RunResult,
    SplitMetrics,
    read_predictions,
)

RUN_FILES = {RESULT, FAILURE, JOB, "config.yaml"}
# Overrides that stand in other fields of a run, or do not change what it computes.
NOT_SETTING = (
    "seed=",
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
class Run:
    """One finished run, as its ``result.json`` tells it.

    Two runs have the same ``setting`` exactly when they differ by nothing but the seed. A ``class_free`` run does not
    depend on which class is important: its recalls count for every class.
    """

    folder: Path
    data: str
    model: str
    loss: str
    seed: int
    important: tuple[int, ...]
    class_names: tuple[str, ...]
    setting: str
    class_free: bool
    parameters: Mapping[str, Any]
    overrides: tuple[str, ...]
    metrics: Mapping[str, SplitMetrics]
    angles: AngleStatistics | None = None

    def accuracy(self, split: str) -> float:
        return self.metrics[split].accuracy

    def recall(self, split: str, important: Sequence[int]) -> float:
        """Mean recall over the classes ``important``; NaN where one has no images."""
        recalls = self.metrics[split].recall
        return float(np.mean([recalls[self.class_names[i]] for i in important]))

    def predictions(self, *names: str) -> list[npt.NDArray[Any]] | None:
        """Arrays of ``predictions.npz`` by name, read now and kept by nobody; None where the file or one is missing."""
        path = self.folder / PREDICTIONS
        if not path.is_file():
            return None
        found = read_predictions(path, names)
        return [found[name] for name in names] if set(names) <= set(found) else None


@dataclass(frozen=True)
class Unfinished:
    """A planned run without a result: ``failed``, ``interrupted`` or ``not started``."""

    folder: Path
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Collection:
    runs: list[Run]
    unfinished: list[Unfinished]
    repeated: int  # runs that were left out because another one is the same run


def collect(sweeps: Iterable[str | Path]) -> Collection:
    """All runs below the folders ``sweeps``.

    Raises:
        UserError: a folder that does not exist, or no finished run in any of them.
    """
    folders = [Path(sweep) for sweep in sweeps]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"sweep={folder}: there is no such folder. A sweep's folder is logs/sweeps/<sweep.name>.")
    jobs = dict.fromkeys(job for folder in folders for job in _jobs(folder))
    records = [_read(job) for job in jobs]
    found = [record for record in records if isinstance(record, Run)]
    unfinished = [record for record in records if isinstance(record, Unfinished)]
    if not found:
        where = ", ".join(map(str, folders))
        raise UserError(f"sweep={where}: no finished run (no result.json) below it; {len(unfinished)} unfinished.")
    runs = list({_identity(run): run for run in reversed(found)}.values())[::-1]  # of equal runs the first
    return Collection(runs, unfinished, repeated=len(found) - len(runs))


def _identity(run: Run) -> tuple[Any, ...]:
    return run.setting, run.seed, () if run.class_free else run.important


def _jobs(folder: Path) -> Iterator[Path]:
    """Folders of runs below ``folder``, those that the sweep planned and never started among them."""
    for path, below, files in os.walk(folder):
        below.sort()
        if "jobs.json" in files:
            yield from (Path(path) / job for job in json.loads((Path(path) / "jobs.json").read_text(encoding="utf-8")))
        if RUN_FILES & set(files):
            below.clear()
            yield Path(path)


def _read(folder: Path) -> Run | Unfinished:
    try:
        if (folder / RESULT).is_file():
            return _run(folder, RunResult.of(folder))
        if (folder / FAILURE).is_file():
            return Unfinished(folder, "failed", FailureRecord.read(folder / FAILURE).error)
    except UserError as error:
        return Unfinished(folder, "unreadable", str(error))
    return Unfinished(folder, "interrupted" if (folder / JOB).is_file() else "not started")


def _run(folder: Path, result: RunResult) -> Run:
    return Run(
        folder=folder,
        data=result.data,
        model=result.model,
        loss=result.loss,
        seed=result.seed,
        important=tuple(result.important_class),
        class_names=tuple(result.class_names),
        setting=result.setting,
        class_free=result.class_free,
        parameters=result.loss_parameters,
        overrides=tuple(sorted(item for item in result.overrides if not item.lstrip("+~").startswith(NOT_SETTING))),
        metrics={"val": result.val, "test": result.test},
        angles=result.angles,
    )
