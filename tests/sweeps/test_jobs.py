"""One job's fate does not touch the others: failures, memory that is not there, and what runs again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import QUICK, TINY_CONFIGS, Command, Finished
from tests.helpers.faults import CALLBACK, ORDER, starts

TINY = ("data=tiny", TINY_CONFIGS, *QUICK, "trainer.max_epochs=2")
Sweep = Callable[..., Finished]


@pytest.fixture
def sweep(command: Command, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Two jobs of two epochs in this process, the first of which meets a fault."""

    def run(fault: str, *given: str, times: int = 1) -> Finished:
        monkeypatch.setenv(ORDER, f"{fault} 0 {times}")
        return command("train", "-m", *TINY, "seed=0,1", "sweep.name=all", CALLBACK, *given)

    return run


@pytest.fixture
def jobs(tmp_path: Path) -> Callable[[], list[Path]]:
    return lambda: sorted(path.parent for path in tmp_path.glob("logs/sweeps/all/*/job.json"))


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def states(finished: Finished) -> list[str]:
    lines = finished.err.splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("state ")) + 1 :]
    return [line.split()[0] for line in table if "seed-" in line]


@pytest.mark.parametrize(("fault", "words"), [("error", "RuntimeError: no luck"), ("memory", "can't allocate memory")])
def test_failing_job_fails_alone_and_is_tried_again_by_the_same_command(
    sweep: Sweep, jobs: Callable[[], list[Path]], fault: str, words: str
) -> None:
    finished = sweep(fault)
    broken, fine = jobs()

    assert finished.code == 1
    assert states(finished) == ["failed", "done"]
    assert "sweep: 1 done, 1 failed, 0 skipped, 0 left" in finished.err
    assert words in next(line for line in finished.err.splitlines() if line.startswith("failed"))
    assert "Traceback" not in finished.err + finished.out
    assert words in read(broken / "failure.json")["error"]
    assert "Traceback (most recent call last)" in (broken / "run.log").read_text()
    assert not (broken / "result.json").exists()
    assert "Traceback" not in (fine / "run.log").read_text()

    again = sweep(fault)

    assert again.code == 0
    assert states(again) == ["done", "skipped"]
    assert starts(broken) == [0, 0]  # anew: what made it fail may be in its checkpoint
    assert not (broken / "failure.json").exists()


def test_rerun_says_what_of_the_rest_runs_again(sweep: Sweep, jobs: Callable[[], list[Path]]) -> None:
    assert sweep("error", times=2).code == 1
    broken, fine = jobs()
    first = (fine / "result.json").stat().st_mtime_ns

    kept = sweep("error", "sweep.rerun=none", times=2)
    assert (kept.code, states(kept)) == (0, ["skipped", "skipped"])
    assert len(starts(broken)) == 1
    assert states(sweep("error", "sweep.rerun=all", times=1)) == ["done", "done"]
    assert (fine / "result.json").stat().st_mtime_ns > first
    wrong = sweep("error", "sweep.rerun=some")
    assert wrong.code == 1
    assert "sweep.rerun=some: expected one of failed, all, none" in wrong.err


def test_another_config_in_the_same_folder_is_not_taken_for_this_one(sweep: Sweep, jobs: Any) -> None:
    sweep("error", times=0)
    result = read(jobs()[0] / "result.json")
    (jobs()[0] / "result.json").write_text(json.dumps(result | {"config_hash": "another"}))

    assert states(sweep("error", times=0)) == ["done", "skipped"]


def test_stopped_job_goes_on_from_its_checkpoint_and_uses_up_no_attempt(
    sweep: Sweep, jobs: Callable[[], list[Path]]
) -> None:
    """As on SLURM, where a job that met its time limit is queued again by the same start of the sweep."""
    same = ("sweep.launch=one", "sweep.attempts=1")
    stopped = sweep("stop", *same, times=2)
    first = jobs()[0]

    assert stopped.code == 130
    assert "the same command runs what is missing" in stopped.err
    assert (read(first / "job.json")["state"], read(first / "job.json")["attempt"]) == ("interrupted", 0)
    sweep("stop", *same, times=2)
    assert sweep("stop", *same, times=2).code == 0
    assert starts(first) == [0, 1, 1]


def test_killed_once_too_often_is_a_failure(sweep: Sweep, jobs: Callable[[], list[Path]]) -> None:
    """The record of a job whose process was killed says "running"; Ray starts it again without end."""
    sweep("stop", "sweep.launch=one")
    record = read(jobs()[0] / "job.json")
    (jobs()[0] / "job.json").write_text(json.dumps(record | {"state": "running", "attempt": 3}))

    finished = sweep("stop", "sweep.launch=one")

    assert states(finished) == ["failed", "done"]
    assert "the process was killed 3 times (out of memory?) and is not started again" in finished.err
