"""What goes wrong in a job, on order: a callback that fails, stops, kills or holds its run after its first epoch."""

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
    """Happens at the second epoch of the runs of one seed, on their first so many starts."""

    def __init__(self, dirpath: str) -> None:
        self.starts = Path(dirpath).parent / "starts"  # outlives what a new start of the job clears

    def on_train_start(self, trainer: Any, module: Any) -> None:
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
    """Until whoever waits for that has ended the job, however slow the machine."""
    time.sleep(600)
    raise RuntimeError("held for ten minutes, and nobody came")


FAULTS = {
    "error": fail,
    "hold": hold,
    "memory": ask_for_memory,
    "stop": lambda: sys.exit(1),  # what submitit does at the time limit, and Lightning on Ctrl-C
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),  # what the system does when memory runs out
}
