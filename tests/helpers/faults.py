"""A callback that fails, stops, kills or holds a run after its first epoch, as an environment variable orders."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback

CALLBACK = "+callbacks.fault._target_=tests.helpers.faults.Fault"
ORDER = "CAMRI_TEST_FAULT"  # "<kind> <seed> <times>": not in the config, so that it changes no job


class Fault(Callback):
    """Strikes at the second epoch of the runs of one seed, on their first starts, as many as ordered."""

    starts: Path

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.starts = Path(trainer.default_root_dir) / "starts"  # a new start of the job does not remove it
        with open(self.starts, "a") as file:
            file.write(f"{trainer.current_epoch}\n")

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        kind, seed, times = os.environ[ORDER].split()
        mine = os.environ["PL_GLOBAL_SEED"] == seed and trainer.current_epoch == 1
        if mine and len(starts(self.starts.parent)) <= int(times):
            self.starts.with_name("fault").touch()
            FAULTS[kind]()


def starts(job: Path) -> list[int]:
    """The epochs that each start of the job began with."""
    return [int(line) for line in (job / "starts").read_text().splitlines()]


def fail() -> None:
    raise RuntimeError("no luck\nand a second line")


def ask_for_memory() -> None:
    torch.empty(2**60)


def hold() -> None:
    """Wait until the test has ended the job, however slow the machine."""
    time.sleep(600)
    raise RuntimeError("held for ten minutes, and the test did not end it")


FAULTS = {
    "error": fail,
    "hold": hold,
    "memory": ask_for_memory,
    "stop": lambda: sys.exit(1),  # what submitit does at the time limit, and Lightning on Ctrl-C
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),  # what the system does when memory runs out
}
