"""One job of a sweep: claimed, skipped if it is done, resumed if it was interrupted; its failure stops no other job."""

import gc
import logging
import os
import shutil
import socket
import sys
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from camri_exp.errors import UserError, first_line
from camri_exp.files import claimed
from camri_exp.identity import config_hash
from camri_exp.reporting.ranking import resolve_ranks
from camri_exp.results import FAILURE, JOB, PREDICTIONS, RESULT, FailureRecord, JobRecord, RunResult
from camri_exp.stored_config import CONFIG
from camri_exp.sweeps.objectives import Objectives, objectives

log = logging.getLogger(__name__)
LEFTOVERS = (
    RESULT,
    FAILURE,
    PREDICTIONS,
    "metrics.csv",
    CONFIG,
    "checkpoints",
    "figures",
    "wandb",
)


def run(cfg: DictConfig, train: Callable[[DictConfig], RunResult]) -> Objectives | None:
    """Train as a job of a sweep; returns what a search maximises, None without a result."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        with claimed(folder, "Give another folder: hydra.sweep.dir=DIR") as other:
            return _run_claimed(cfg, train, folder) if other is None else None
    except (UserError, OSError) as error:  # a full disk, say: not even the failure can be recorded
        print(f"{folder.name} could not run: {first_line(error)}", file=sys.stderr)
        return None


def _run_claimed(cfg: DictConfig, train: Callable[[DictConfig], RunResult], folder: Path) -> Objectives | None:
    job = Job(cfg, folder)
    try:
        if not job.start():
            return job.objectives
        with job.output():
            result = train(cfg)
    except (KeyboardInterrupt, SystemExit) as stop:  # Ctrl-C, by way of Lightning; a time limit, by way of submitit
        job.stop()
        raise KeyboardInterrupt from stop  # it stops the sweep as well
    except Exception as error:
        job.fail(error)
        return None
    finally:
        _free_memory()
    job.finish(result)
    return job.objectives


class Job:
    """One start of a job, whose folder is claimed.

    Attributes:
        objectives: those of its result, once there is one.
        is_running: whether it has started and neither failed nor finished.
    """

    def __init__(self, cfg: DictConfig, folder: Path) -> None:
        self.cfg, self.folder = cfg, folder
        self.begin, self.before = time.time(), read_record(folder)
        self.record = _first_record(cfg.sweep.launch, self.before, self.begin)
        self.objectives: Objectives | None = None
        self.is_running = False

    def start(self, resumable: bool = True) -> bool:
        """Prepare the folder and record the start; False where there is nothing to do.

        Args:
            resumable: whether the job, where it is interrupted, resumes from its own ``last.ckpt``.

        Raises:
            UserError: a class that cannot be ranked, or a job that was killed too often.
        """
        cfg, folder = self.cfg, self.folder
        resolve_ranks(cfg)
        cfg.trainer.enable_progress_bar = False
        digest = config_hash(cfg)
        done = finished(folder, digest)
        gave_up = cfg.sweep.rerun == "none" and (folder / FAILURE).is_file()
        if gave_up or (done is not None and not _run_again(cfg, self.before)):
            _skipped(self.before, cfg.sweep.launch, "done" if done else "failed").write(folder / JOB)
            self.objectives = objectives(done, cfg.sweep.get("min_accuracy")) if done else None
            return False
        _prepare(cfg, folder, digest, self.before)
        self.record = replace(self.record, config_hash=digest if resumable else None)
        self.record.write(folder / JOB)
        self.is_running = True
        if self.record.attempt > cfg.sweep.attempts:
            raise UserError(
                f"the process was killed {self.record.attempt - 1} times (out of memory?) and is not started again."
            )
        if self.record.attempt > 1:
            log.warning("attempt %d of %d: the process was killed", self.record.attempt, cfg.sweep.attempts)
        return True

    @contextmanager
    def output(self) -> Iterator[None]:
        """Append what the block prints to ``run.log``."""
        with open(self.folder / "run.log", "a", encoding="utf-8") as text, redirect_stdout(text), redirect_stderr(text):
            yield

    def stop(self) -> None:
        """Record that the job was asked to stop."""
        _record_stop(self.folder, self.cfg.sweep.launch)

    def fail(self, error: Exception) -> None:
        """Record why the job failed."""
        _record_failure(self.folder, error)
        # Without the hash the next start begins anew: what made the job fail may be in its checkpoint.
        self.is_running = False
        failed = replace(self.record, state="failed", seconds=time.time() - self.begin, config_hash=None)
        failed.write(self.folder / JOB)

    def finish(self, result: RunResult, seconds: float | None = None) -> None:
        """Record that the job is done; ``seconds`` that it took, if not those since its start."""
        seconds = time.time() - self.begin if seconds is None else seconds
        self.is_running = False
        done = replace(self.record, state="done", seconds=seconds, config_hash=result.config_hash)
        done.write(self.folder / JOB)
        self.objectives = objectives(result, self.cfg.sweep.get("min_accuracy"))


def _first_record(launch: str, before: JobRecord | None, begin: float) -> JobRecord:
    """The record of a start of the job while it runs."""
    return JobRecord(
        launch=launch,
        attempt=before.attempt + 1 if before is not None and before.launch == launch else 1,
        state="running",
        started=begin,
        host=socket.gethostname(),
        pid=os.getpid(),
        gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
    )


def read_record(folder: Path) -> JobRecord | None:
    """The record of the job's last start; None before the first, and where it is damaged."""
    try:
        return JobRecord.read(folder / JOB)
    except UserError:
        return None


def _skipped(record: JobRecord | None, launch: str, state: str) -> JobRecord:
    """The record, with a note of the start that skipped the job. The start that ran it may not have read it yet."""
    record = record or JobRecord()
    if record.launch == launch:  # killed after its result and before this record of it
        return replace(record, state=state)
    return replace(record, skipped=launch)


def state_of(record: JobRecord | None, launch: str) -> str | None:
    """running, done, failed or skipped in the sweep started as ``launch``; None where it has not reached the job."""
    if record is None:
        return None
    if record.launch == launch:
        return record.state
    return "skipped" if record.skipped == launch else None


def finished(folder: Path, digest: str) -> RunResult | None:
    """The result of the job in ``folder``, if it has one of the config with this hash."""
    try:
        result = RunResult.of(folder)
    except UserError:
        return None
    return result if result.config_hash == digest else None


def _run_again(cfg: DictConfig, record: JobRecord | None) -> bool:
    return cfg.sweep.rerun == "all" and (record is None or record.launch != cfg.sweep.launch)


def _prepare(cfg: DictConfig, folder: Path, digest: str, record: JobRecord | None) -> None:
    """Resume from the last checkpoint of the same config, or remove what another config left."""
    (folder / FAILURE).unlink(missing_ok=True)
    if not _run_again(cfg, record) and can_resume(folder, digest, record):
        cfg.resume = str(folder)
        log.info("resuming from checkpoints/last.ckpt")
        return
    for path in map(folder.joinpath, LEFTOVERS):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def can_resume(folder: Path, digest: str, record: JobRecord | None) -> bool:
    """Whether the folder holds a checkpoint from which the job of the config with this hash resumes."""
    same = record is not None and record.config_hash == digest
    return same and zipfile.is_zipfile(folder / "checkpoints" / "last.ckpt")  # not if it was cut off in the middle


def _record_stop(folder: Path, launch: str) -> None:
    """A job that was asked to stop has used no attempt: SLURM queues it again as often as necessary."""
    record = read_record(folder)
    if record is not None and state_of(record, launch) == "running":
        replace(record, state="interrupted", attempt=record.attempt - 1).write(folder / JOB)


def _record_failure(folder: Path, error: Exception) -> None:
    # Not log.exception: the screen belongs to the progress line, the traceback to this job's run.log.
    log.info("failed\n%s", traceback.format_exc())
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    FailureRecord(error=text).write(folder / FAILURE)
    traceback.clear_frames(error.__traceback__)  # they hold the model, and with it the GPU's memory


def _free_memory() -> None:
    """Leave the GPU to the next job of this process. Only where there is one: collecting takes .3 s."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()
