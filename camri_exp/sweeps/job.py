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
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from camri_exp.errors import UserError, first_line
from camri_exp.files import claimed
from camri_exp.identity import config_hash
from camri_exp.metrics.threshold import recall_if_accurate
from camri_exp.reporting.ranking import resolve_ranks
from camri_exp.results import FAILURE, JOB, PREDICTIONS, RESULT, FailureRecord, JobRecord, RunResult
from camri_exp.stored_config import CONFIG

log = logging.getLogger(__name__)
Objectives = tuple[float, float] | float
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


def objectives(result: RunResult, min_accuracy: float | None) -> Objectives:
    """What a search maximises: validation accuracy and recall of the important class, or one number for both."""
    if min_accuracy is None:
        return result.val.accuracy, result.val.recall_important
    return recall_if_accurate(result.val.recall_important, result.val.accuracy, min_accuracy)


def _run_claimed(cfg: DictConfig, train: Callable[[DictConfig], RunResult], folder: Path) -> Objectives | None:
    begin, before = time.time(), read_record(folder)
    record = _first_record(cfg.sweep.launch, before, begin)
    try:
        resolve_ranks(cfg)
        cfg.trainer.enable_progress_bar = False
        digest = config_hash(cfg)
        done = _finished(folder, digest)
        gave_up = cfg.sweep.rerun == "none" and (folder / FAILURE).is_file()
        if gave_up or (done is not None and not _run_again(cfg, before)):
            _skipped(before, cfg.sweep.launch, "done" if done else "failed").write(folder / JOB)
            return objectives(done, cfg.sweep.get("min_accuracy")) if done else None
        _prepare(cfg, folder, digest, before)
        record = replace(record, config_hash=digest)
        record.write(folder / JOB)
        if record.attempt > cfg.sweep.attempts:
            raise UserError(
                f"the process was killed {record.attempt - 1} times (out of memory?) and is not started again."
            )
        if record.attempt > 1:
            log.warning("attempt %d of %d: the process was killed", record.attempt, cfg.sweep.attempts)
        with open(folder / "run.log", "a", encoding="utf-8") as text, redirect_stdout(text), redirect_stderr(text):
            result = train(cfg)
    except (KeyboardInterrupt, SystemExit) as stop:  # Ctrl-C, by way of Lightning; a time limit, by way of submitit
        _record_stop(folder, cfg.sweep.launch)
        raise KeyboardInterrupt from stop  # it stops the sweep as well
    except Exception as error:
        _record_failure(folder, error)
        # Without the hash the next start begins anew: what made the job fail may be in its checkpoint.
        replace(record, state="failed", seconds=time.time() - begin, config_hash=None).write(folder / JOB)
        return None
    finally:
        _free_memory()
    replace(record, state="done", seconds=time.time() - begin).write(folder / JOB)
    return objectives(result, cfg.sweep.get("min_accuracy"))


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


def _finished(folder: Path, digest: str) -> RunResult | None:
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
    same = record is not None and record.config_hash == digest
    # A checkpoint that was cut off in the middle is not a zip archive.
    if not _run_again(cfg, record) and same and zipfile.is_zipfile(folder / "checkpoints" / "last.ckpt"):
        cfg.resume = str(folder)
        log.info("resuming from checkpoints/last.ckpt")
        return
    for path in map(folder.joinpath, LEFTOVERS):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


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
