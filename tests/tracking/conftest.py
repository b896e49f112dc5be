"""A sweep that runs once for all tests of this folder: real jobs on the digits, offline."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import wandb_service as service


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep of two losses and two seeds, logged to W&B offline while a key is configured."""
    folder = tmp_path_factory.mktemp("sweep")
    arguments = [
        "-m",
        "loss=ce,camri",
        "seed=0,1",
        "trainer.max_epochs=2",
        "sweep.name=mine",
        "logger.wandb.log_model=true",
    ]
    command = [sys.executable, "-m", "camri_exp.train", *arguments, f"hydra.sweep.dir={folder / 'mine'}"]
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_API_KEY": service.KEY, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return folder / "mine"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[service.Service]:
    """A W&B service on this machine, which wandb in this process uses."""
    with service.serving() as running:
        point_to(running.url, monkeypatch)
        yield running
        forget()


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forget()
    monkeypatch.setenv("WANDB_BASE_URL", url)
    monkeypatch.setenv("WANDB_API_KEY", service.KEY)
    monkeypatch.setenv("WANDB_MODE", "online")


def forget() -> None:
    """Let wandb read its settings again; otherwise it keeps them until the process ends."""
    import wandb

    wandb.teardown()
