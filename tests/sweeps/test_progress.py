"""The progress line and the table, from the records that jobs leave."""

import io
import pickle
from pathlib import Path
from typing import Any

import pytest

from camri_exp.files import claimed, write_json
from camri_exp.sweeps import progress as progress_module
from camri_exp.sweeps.hooks import SweepHooks
from camri_exp.sweeps.progress import SweepProgress, span

NOW = "this start"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its first item is the time."""
    time = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: time[0])
    return time


def record(folder: Path, name: str, **content: Any) -> None:
    (folder / name).mkdir(exist_ok=True)
    write_json(folder / name / "job.json", content)


def test_line_counts_jobs_and_estimates_the_time_to_go(tmp_path: Path, clock: list[float]) -> None:
    names = [f"job{i}" for i in range(10)]
    for i in range(4):  # done earlier: they will be skipped at once
        record(tmp_path, f"job{i}", launch="before", state="done")
        (tmp_path / f"job{i}" / "result.json").touch()
    progress = SweepProgress(tmp_path, NOW, names, len(names))
    assert progress.line() == "sweep: 0 done, 0 failed, 0 skipped, 10 left"

    clock[0] += 60
    record(tmp_path, "job0", launch="before", state="done", skipped=NOW)
    record(tmp_path, "job4", launch=NOW, state="done", seconds=25)
    record(tmp_path, "job5", launch=NOW, state="failed", seconds=35)
    record(tmp_path, "job6", launch=NOW, state="running")
    progress.read()

    # Two of six jobs took 60 s; the three others that are done already take none.
    assert progress.line() == "sweep: 1 done, 1 failed, 1 skipped, 7 left, about 2 min to go"
    assert progress.failed


def test_records_of_an_earlier_start_do_not_count(tmp_path: Path, clock: list[float]) -> None:
    record(tmp_path, "a", launch="before", state="failed")
    progress = SweepProgress(tmp_path, NOW, ["a"], 1)
    progress.read()

    progress.stopped = True
    assert not progress.failed
    assert "not run here" in progress.table()


def test_table_says_state_seconds_attempts_and_the_reason(tmp_path: Path) -> None:
    record(tmp_path, "a", launch=NOW, state="done", seconds=2.34, attempt=2)
    record(tmp_path, "b", launch=NOW, state="failed", seconds=1.0, attempt=1)
    write_json(tmp_path / "b" / "failure.json", {"error": "one line\nand another"})
    record(tmp_path, "c", launch=NOW, state="running", attempt=1)
    record(tmp_path, "d", launch="before", state="done", skipped=NOW, seconds=9.0)
    progress = SweepProgress(tmp_path, NOW, ["a", "b", "c", "d"], 4)
    progress.read()

    assert progress.table().splitlines() == [
        f"state         seconds  job in {tmp_path}",
        "done              2.3  a (attempt 2)",
        "failed            1.0  b: one line",
        "interrupted            c",
        "skipped                d",
        "The traceback of a failed job is in its own run.log.",
    ]


def test_a_job_that_could_not_run_fails_the_sweep(tmp_path: Path) -> None:
    record(tmp_path, "a", launch=NOW, state="done", seconds=1.0)
    with SweepProgress(tmp_path, NOW, ["a", "b"], 2) as progress:
        pass
    assert progress.lost == ["b"]
    assert "could not run" in progress.table()


def test_a_job_of_another_process_fails_no_sweep(tmp_path: Path) -> None:
    record(tmp_path, "a", launch="of another sweep", state="running")
    with claimed(tmp_path / "a", "") as owner:
        assert owner is None
        with SweepProgress(tmp_path, NOW, ["a"], 1) as progress:
            pass
        assert not progress.lost
        assert "not run here" in progress.table()


def test_a_log_gets_a_line_only_when_a_job_ends(tmp_path: Path, clock: list[float]) -> None:
    progress = SweepProgress(tmp_path, NOW, ["a", "b"], 2)
    progress.out = io.StringIO()
    for _ in range(3):
        clock[0] += 1
        progress._show(progress.line())
    record(tmp_path, "a", launch=NOW, state="done")
    progress.read()
    progress._show(progress.line())

    assert [line.split(", about")[0] for line in progress.out.getvalue().splitlines()] == [
        "sweep: 0 done, 0 failed, 0 skipped, 2 left",
        "sweep: 1 done, 0 failed, 0 skipped, 1 left",
    ]


@pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (99.4, "99 s"), (720, "12 min"), (12000, "3 h 20 min")])
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_search_can_be_sent_to_other_processes_while_it_is_watched(tmp_path: Path) -> None:
    """Launchers pickle Hydra's callbacks along with each job."""
    hook = SweepHooks()
    hook.progress = SweepProgress(tmp_path, NOW, None, 4)
    with hook.progress:
        assert pickle.loads(pickle.dumps(hook)).progress is None
