"""One job of a sweep: claimed, skipped if it is done, resumed if it was interrupted, and never the sweep's end."""

import gc
import json
import logging
import os
import shutil
import socket
import sys
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from camri_exp.errors import UserError
from camri_exp.results import config_hash, read_result, write_json
from camri_exp.sweeps.ranking import resolve_ranks

log = logging.getLogger(__name__)
Result = Mapping[str, Any]
Objectives = tuple[float, float]
RERUN = ("failed", "all", "none")
LEFTOVERS = (
    "result.json",
    "failure.json",
    "predictions.npz",
    "metrics.csv",
    "config.yaml",
    "checkpoints",
    "figures",
    "wandb",
)


def run(cfg: DictConfig, train: Callable[[DictConfig], Result]) -> Objectives | None:
    """Train, as a job where there is a sweep; validation accuracy and important-class recall, None without a result."""
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        resolve_ranks(cfg)
        return objectives(train(cfg))
    if cfg.sweep.rerun not in RERUN:
        raise UserError(f"sweep.rerun={cfg.sweep.rerun}: expected {', '.join(RERUN)}.")
    folder = Path(HydraConfig.get().runtime.output_dir)
    with _claimed(folder) as mine:
        return _run_claimed(cfg, train, folder) if mine else None


def objectives(result: Result) -> Objectives:
    return result["val"]["accuracy"], result["val"]["recall_important"]


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether this process alone may work in ``folder``; the claim ends with the process, however it ends."""
    lock = FileLock(folder / ".claim", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _run_claimed(cfg: DictConfig, train: Callable[[DictConfig], Result], folder: Path) -> Objectives | None:
    begin, record = time.time(), read_record(folder)
    note = _first_note(cfg.sweep.launch, record, begin)
    attempt = note["attempt"]
    try:
        resolve_ranks(cfg)
        cfg.trainer.enable_progress_bar = False
        digest = config_hash(cfg)
        if _nothing_to_do(cfg, folder, digest, record):
            done = _finished(folder, digest)
            write_json(folder / "job.json", _skipped(record, cfg.sweep.launch, "done" if done else "failed"))
            return objectives(done) if done else None
        _prepare(cfg, folder, digest, record)
        write_json(folder / "job.json", {**note, "config_hash": digest})
        if attempt > cfg.sweep.attempts:
            raise UserError(f"the process was killed {attempt - 1} times (out of memory?) and is not tried again.")
        if attempt > 1:
            log.warning("attempt %d of %d: the process was killed", attempt, cfg.sweep.attempts)
        with open(folder / "run.log", "a", encoding="utf-8") as text, redirect_stdout(text), redirect_stderr(text):
            result = train(cfg)
    except (KeyboardInterrupt, SystemExit) as stop:  # Ctrl-C, by way of Lightning; a time limit, by way of submitit
        _record_stop(folder, cfg.sweep.launch)
        raise KeyboardInterrupt from stop  # it stops the sweep as well
    except Exception as error:
        _record_failure(folder, error)
        write_json(folder / "job.json", {**note, "state": "failed", "seconds": time.time() - begin})
        return None
    finally:
        _free_memory()
    write_json(folder / "job.json", {**note, "state": "done", "seconds": time.time() - begin, "config_hash": digest})
    return objectives(result)


def _first_note(launch: str, record: Mapping[str, Any], begin: float) -> dict[str, Any]:
    """What ``job.json`` says of a start of the job while it runs."""
    return {
        "launch": launch,
        "attempt": record.get("attempt", 0) + 1 if record.get("launch") == launch else 1,
        "state": "running",
        "started": begin,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }


def read_record(folder: Path) -> dict[str, Any]:
    """What ``job.json`` says of the job's last start; empty before the first."""
    try:
        return json.loads((folder / "job.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _skipped(record: Mapping[str, Any], launch: str, state: str) -> dict[str, Any]:
    """The record with a note of who skipped the job. Whoever ran it may not have looked at his own part yet."""
    if record.get("launch") == launch:  # killed after its result and before this record of it
        return {**record, "state": state}
    return {**record, "skipped": launch}


def state_of(record: Mapping[str, Any], launch: str) -> str | None:
    """running, done, failed or skipped in the sweep started as ``launch``; None where it has not come to the job."""
    if record.get("launch") == launch:
        return str(record["state"])
    return "skipped" if record.get("skipped") == launch else None


def _finished(folder: Path, digest: str) -> Result | None:
    try:
        result = read_result(folder)
    except (UserError, ValueError):
        return None
    return result if result.get("config_hash") == digest else None


def _nothing_to_do(cfg: DictConfig, folder: Path, digest: str, record: Mapping[str, Any]) -> bool:
    again = cfg.sweep.rerun == "all" and record.get("launch") != cfg.sweep.launch
    failed = cfg.sweep.rerun == "none" and (folder / "failure.json").is_file()
    return failed or (not again and _finished(folder, digest) is not None)


def _prepare(cfg: DictConfig, folder: Path, digest: str, record: Mapping[str, Any]) -> None:
    """Go on from the last checkpoint of the same config, or clear what another one left."""
    (folder / "failure.json").unlink(missing_ok=True)
    again = cfg.sweep.rerun == "all" and record.get("launch") != cfg.sweep.launch
    # A checkpoint that was cut off in the middle is no zip archive.
    if not again and record.get("config_hash") == digest and zipfile.is_zipfile(folder / "checkpoints" / "last.ckpt"):
        cfg.resume = str(folder)
        log.info("going on from checkpoints/last.ckpt")
        return
    for path in map(folder.joinpath, LEFTOVERS):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _record_stop(folder: Path, launch: str) -> None:
    """A job that was asked to stop has used up no attempt: on SLURM it is queued again, as often as it takes."""
    record = read_record(folder)
    if state_of(record, launch) == "running":
        write_json(folder / "job.json", {**record, "state": "interrupted", "attempt": record["attempt"] - 1})


def _record_failure(folder: Path, error: Exception) -> None:
    # Not log.exception: the screen belongs to the progress line, the traceback to this job's run.log.
    log.info("failed\n%s", traceback.format_exc())
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    write_json(folder / "failure.json", {"schema": 1, "status": "failed", "error": text})
    traceback.clear_frames(error.__traceback__)  # they hold the model, and with it the GPU's memory


def _free_memory() -> None:
    """Leave the GPU to the next job of this process. Not without need: collecting takes .3 s."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()
