"""Sweeps in processes of their own, killed where it hurts: every job finishes once, with a quiet sweep's numbers."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import QUICK, TESTS
from tests.helpers import fake_slurm
from tests.helpers.faults import CALLBACK, ORDER, starts
from tests.helpers.results import result_of

JOBS = ["loss=ce,camri", "seed=0,1", *QUICK, "trainer.max_epochs=4", "sweep.name=all", CALLBACK]
# Held jobs, those of seed 1, wait after their first epoch until they are stopped, but only on their first start.
HELD, FREE = "hold 1 1", "hold 1 0"
RAY = ["hydra/launcher=ray", "hydra.launcher.ray.init.num_gpus=2", "sweep.gpus_per_job=1"]
PATIENCE = 300
needs_submitit = pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None, reason="the extra `slurm` is not installed"
)
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed")


class Sweep:
    """A sweep command in a folder of its own, and what it has done so far."""

    def __init__(self, home: Path, order: str = FREE) -> None:
        self.folder, self.home, self.order = home / "logs" / "sweeps" / "all", home, order
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *overrides: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "camri_exp.train", "-m", *JOBS, *overrides]
        process = subprocess.Popen(
            command, cwd=self.home, env=os.environ | {ORDER: self.order, "PYTHONPATH": str(TESTS.parent)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's & has it ignored, inherited
        )  # fmt: skip
        self.processes.append(process)
        return process

    def run(self, *overrides: str) -> str:
        process = self.start(*overrides)
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, out
        return out

    def records(self) -> dict[str, dict[str, Any]]:
        return {path.parent.name: json.loads(path.read_text()) for path in self.folder.glob("*/job.json")}

    def wait_for_held(self, number: int = 1) -> list[Path]:
        """So many jobs that wait, all at one time."""

        def held() -> list[Path]:
            jobs = [path.parent for path in self.folder.glob("*/fault")]
            return jobs if len(jobs) == number else []

        return wait_until(held)

    def predictions(self) -> dict[str, dict[str, Any]]:
        return {path.parent.name: dict(np.load(path)) for path in self.folder.glob("*/predictions.npz")}


def wait_until(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    one = Sweep(tmp_path, HELD)
    yield one
    for process in one.processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The same sweep, left alone."""
    one = Sweep(tmp_path_factory.mktemp("quiet"))
    one.run()
    return one


def assert_same(sweep: Sweep, quiet: Sweep, jobs: int = 4) -> None:
    mine, theirs = sweep.predictions(), quiet.predictions()
    assert mine.keys() <= theirs.keys()
    assert len(mine) == jobs
    for name in mine:
        for array in ("val_scores", "test_scores", "test_target"):
            np.testing.assert_array_equal(mine[name][array], theirs[name][array], err_msg=f"{name} {array}")
        assert result_of(sweep.folder / name)["status"] == "finished"
    assert not list(sweep.folder.glob("*/*.tmp"))


def test_killed_sweep_goes_on_and_two_of_one_name_share_the_jobs(sweep: Sweep, quiet: Sweep) -> None:
    process = sweep.start()
    (job,) = sweep.wait_for_held()
    process.kill()
    process.wait()
    finished = [path.parent.name for path in sweep.folder.glob("*/result.json")]
    assert len(finished) == 1
    assert not (job / "result.json").exists()

    sweep.order = FREE
    both = [sweep.start(), sweep.start()]
    outs = [process.communicate(timeout=PATIENCE)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    done = [line.split()[2] for out in outs for line in out.splitlines() if line.startswith("done ")]
    assert sorted(done + finished) == sorted(quiet.records())
    assert starts(job) == [0, 1]
    assert_same(sweep, quiet)

    assert "4 skipped" in sweep.run()


def test_interrupt_stops_cleanly(sweep: Sweep) -> None:
    process = sweep.start()
    (job,) = sweep.wait_for_held()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130
    assert "Traceback" not in out
    assert "interrupted" in out
    assert "the same command runs what is missing" in out
    assert not (job / "result.json").exists()


@needs_submitit
def test_slurm_job_at_its_time_limit_goes_on_from_its_checkpoint(
    sweep: Sweep, quiet: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = sweep.home / "bin"
    fake_slurm.install(home, "logs/sweeps/all/*/checkpoints/last.ckpt")
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")

    out = sweep.run("loss=ce", "seed=1", "hydra/launcher=slurm", "hydra.launcher.timeout_min=1", "sweep.attempts=1")

    assert "sweep: 1 done, 0 failed, 0 skipped, 0 left" in out
    for line in ("--gpus-per-node=1", "--signal=USR2@120", "--time=1"):
        assert f"#SBATCH {line}\n" in (home / "script").read_text()
    (job,) = sweep.records()
    log = (sweep.folder / job / "run.log").read_text()
    assert log.index("Requeued job 7 (19 remaining timeouts)") < log.index("resuming from checkpoints/last.ckpt")
    assert_same(sweep, quiet, jobs=1)


@needs_ray
def test_ray_gives_each_job_a_gpu_and_survives_kills(sweep: Sweep, quiet: Sweep) -> None:
    process = sweep.start(*RAY)
    held = sweep.wait_for_held(2)
    first, second = (sweep.records()[job.name] for job in held)
    assert {first["gpus"], second["gpus"]} == {"0", "1"}

    os.kill(first["pid"], signal.SIGKILL)
    wait_until(lambda: "attempt 2 of 3" in (held[0] / "run.log").read_text())
    process.kill()
    process.wait()
    wait_until(lambda: not any(alive(record["pid"]) for record in sweep.records().values()))

    sweep.run(*RAY)
    assert_same(sweep, quiet)
    assert starts(held[1]) == [0, 1]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"  # the dead that nobody has buried yet
