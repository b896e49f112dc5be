"""Training commands in processes that are interrupted, and what their folders show of it."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camri_exp.files import TEMPORARY
from camri_exp.results import JOB, PREDICTIONS, RESULT
from camri_exp.stored_config import CONFIG
from camri_exp.sweep_plan import PLAN, read_plan

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 6
OVERRIDES = (
    "data=digits",
    "logger=none",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    f"trainer.max_epochs={EPOCHS}",
)
PATIENCE = 600  # seconds until a process counts as one that hangs
# What results must have in common with those of an undisturbed run.
SAME_FIELDS = ("val", "test", "angles", "epochs", "config_hash", "setting", "parameters", "checkpoint")


@dataclass(frozen=True)
class Subject:
    """A training command whose results are below ``folder``: a single run, or a sweep.

    ``marker`` is the first file that shows that the command has started its work.
    """

    folder: Path
    overrides: tuple[str, ...]
    is_sweep: bool

    @property
    def marker(self) -> Path:
        return self.folder / (PLAN if self.is_sweep else "config.yaml")

    def arguments(self) -> list[str]:
        """What a user types, at first and after an interruption."""
        if self.is_sweep:
            return ["-m", *OVERRIDES, *self.overrides, f"hydra.sweep.dir={self.folder}"]
        if self.marker.is_file():
            return [f"resume={self.folder}"]
        return [*OVERRIDES, *self.overrides, f"hydra.run.dir={self.folder}"]

    def runs(self) -> list[Path]:
        """The folders of the runs, in the order in which they are trained."""
        if not self.is_sweep:
            return [self.folder]
        return [self.folder / name for name in read_plan(self.folder)]

    def stage(self) -> str:
        """How far the command has come, from what is on disk."""
        runs = self.runs()
        if not self.marker.is_file() or not runs:
            return "starting"
        unfinished = [run for run in runs if not (run / RESULT).is_file()]
        if not unfinished:
            return "after the result"
        run = next((run for run in unfinished if (run / JOB).is_file()), unfinished[0])
        if not (run / CONFIG).is_file():
            return "starting a job"
        if any((run / "checkpoints").glob(f"{TEMPORARY}*")):
            return "writing a checkpoint"
        return "in training" if epochs_of(run) < EPOCHS else "in the evaluation"


def epochs_of(run: Path) -> int:
    """The number of epochs in the ``metrics.csv`` of a run."""
    path = run / "metrics.csv"
    if not path.is_file():
        return 0
    with open(path, newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.DictReader(file))


class Process:
    """A command in a process that may be interrupted; what it prints is kept in ``log``."""

    def __init__(self, subject: Subject, temporary: Path, log: Path) -> None:
        self.log, self.begin = log, time.monotonic()
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(temporary),
        }
        with open(log, "w", encoding="utf-8") as text:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "camri_exp.train", *subject.arguments()],
                cwd=log.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=text,
            )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begin

    def wait(self) -> int:
        """The exit code as a shell has it: 128 and the number of the signal for a killed process."""
        try:
            code = self.popen.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise
        return code if code >= 0 else 128 - code

    def wait_until(self, condition: Callable[[], bool], interval: float = 0.02) -> bool:
        """Wait for ``condition``; False where the process ends before."""
        while not condition():
            if self.popen.poll() is not None or self.seconds > PATIENCE:
                return False
            time.sleep(interval)
        return True

    def sleep(self, seconds: float) -> None:
        """Wait for so long, or for the end of the process."""
        end = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() >= end, 0.005)

    def errors(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def same_numbers(run: Path, reference: Path) -> bool:
    """Whether metrics and predictions of two finished runs are equal, bit for bit."""
    results = [json.loads((folder / RESULT).read_text()) for folder in (run, reference)]
    if any(results[0].get(name) != results[1].get(name) for name in SAME_FIELDS):
        return False
    if (run / "metrics.csv").read_bytes() != (reference / "metrics.csv").read_bytes():
        return False
    with np.load(run / PREDICTIONS) as ours, np.load(reference / PREDICTIONS) as theirs:
        return set(ours.files) == set(theirs.files) and all(
            ours[name].dtype == theirs[name].dtype and ours[name].tobytes() == theirs[name].tobytes()
            for name in ours.files
        )


def results_of(subject: Subject) -> dict[Path, int]:
    """The finished runs, with the time at which each result was written."""
    paths = [run / RESULT for run in subject.runs()]
    return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}


def leftovers(*folders: Path) -> list[str]:
    """Temporary files below ``folders``."""
    return sorted(path.name for folder in folders for path in folder.rglob(f"{TEMPORARY}*"))
