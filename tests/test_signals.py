"""Stopped commands: the exit code says by what, one line says how to resume, and the run can be resumed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from camri_exp.signals import exit_code
from tests.helpers.results import result_of

ENDLESS = ("logger=none", "trainer.max_epochs=100000", "trainer.accelerator=cpu")
PATIENCE = 120
Start = Callable[..., "subprocess.Popen[str]"]
pytestmark = pytest.mark.slow


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """``start(*overrides)``: a training command in a process of its own, which is killed when the test ends."""
    processes = []

    def run(*overrides: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "camri_exp.train", *overrides],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's & lets it ignore the signal
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(pattern: str, folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not list(folder.glob(pattern)):
        assert time.monotonic() < end, f"{pattern} does not appear"
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_says_how_to_resume(start: Start, tmp_path: Path, number: int, code: int) -> None:
    process = start(*ENDLESS, "hydra.run.dir=run")
    wait_for("run/checkpoints/last.ckpt", tmp_path)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert err.splitlines()[-1] == "stopped; to resume: python -m camri_exp.train resume=run"
    assert "Traceback" not in err
    assert not (tmp_path / "run" / "result.json").exists()
    resumed = start("resume=run", "trainer.max_epochs=1", "logger=none")
    assert resumed.wait(timeout=PATIENCE) == 0
    assert result_of(tmp_path / "run")["status"] == "finished"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_sweep_has_the_exit_code_of_its_signal(start: Start, tmp_path: Path, number: int, code: int) -> None:
    process = start("-m", *ENDLESS, "seed=0,1", "sweep.name=all")
    wait_for("logs/sweeps/all/*/checkpoints/last.ckpt", tmp_path)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert "The sweep was stopped; the same command runs what is missing." in err
    assert "Traceback" not in err


def test_a_run_is_not_trained_twice_at_the_same_time(start: Start, tmp_path: Path) -> None:
    first = start(*ENDLESS, "hydra.run.dir=run")
    wait_for("run/checkpoints/last.ckpt", tmp_path)
    second = start("resume=run")
    _, err = second.communicate(timeout=PATIENCE)
    assert second.returncode == 1
    assert f"run is being trained by process {first.pid} on " in err
    assert len(err.strip().splitlines()) == 1


def test_the_exit_code_follows_what_stopped_the_command() -> None:
    wrapped = KeyboardInterrupt()
    wrapped.__cause__ = SystemExit(143)
    assert [exit_code(stop) for stop in (KeyboardInterrupt(), SystemExit(1), SystemExit(143), wrapped)] == [
        130,
        130,
        143,
        143,
    ]
