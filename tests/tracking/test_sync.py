"""Uploading offline runs: one by one, again after a failure, and after a kill."""

import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from camri_exp.errors import UserError
from camri_exp.files import locked
from camri_exp.tracking import sync
from camri_exp.tracking.base import RunDescription
from camri_exp.tracking.wandb import WandbRun
from tests.conftest import Command
from tests.helpers import wandb_files as reading
from tests.helpers.wandb_service import Service, unused_address
from tests.tracking.conftest import forget, point_to


@pytest.fixture
def copied(sweep: Path, tmp_path: Path) -> Path:
    """Two jobs of the sweep, to be uploaded."""
    for job in sorted(path.parent for path in sweep.glob("*/wandb"))[:2]:
        shutil.copytree(job, tmp_path / "sweep" / job.name, symlinks=True)
    return tmp_path / "sweep"


def upload(folder: Path) -> None:
    forget()  # the end of a file that this process wrote may not be on disk yet
    assert sync.sync([folder], 60) == 0


def test_each_run_is_uploaded_once(copied: Path, online: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert sync.sync([copied, copied], 60) == 0
    out = capsys.readouterr().out
    assert "[1/2]" in out
    assert "[2/2]" in out
    assert "2 uploaded, 0 left" in out
    runs = [reading.read(file) for file in reading.files(copied)]
    assert online.exit_codes == {run.id: 0 for run in runs}
    for run in runs:
        assert len(online.history(run.id)) == len(run.history)
        assert online.summary(run.id)["test/accuracy"] == run.summary["test/accuracy"]
    asked = len(online.requests)
    assert sync.sync([copied], 60) == 0
    assert "all runs are uploaded" in capsys.readouterr().out
    assert len(online.requests) == asked


def test_the_same_command_continues_after_a_failure(
    copied: Path, online: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    online.lives = 2  # it receives the beginning of the first run, then it dies
    assert sync.sync([copied], 3) == 2
    assert "0 uploaded, 2 left; the same command continues" in capsys.readouterr().out
    online.lives = None
    assert sync.sync([copied], 60) == 0
    for run in (reading.read(file) for file in reading.files(copied)):
        sent = [row["_step"] for row in online.history(run.id)]
        assert sorted(set(sent)) == sorted(row["_step"] for row in run.history)
        assert sent[-len(run.history) :] == sorted(set(sent))  # complete; rows of the first attempt may precede it


def test_the_parts_of_a_resumed_run_become_one(train: Command, tmp_path: Path, online: Service) -> None:
    assert train("logger=wandb", "logger.wandb.mode=offline").code == 0
    assert train("logger=wandb", "logger.wandb.mode=offline", "resume=run", "trainer.max_epochs=2").code == 0
    upload(tmp_path)
    ((run, code),) = online.exit_codes.items()
    assert code == 0
    assert [row["epoch"] for row in online.history(run) if "val/accuracy" in row] == [0, 1]


def test_parts_are_sorted_by_time_whether_online_or_offline(train: Command, tmp_path: Path, online: Service) -> None:
    assert train("logger=wandb", "logger.wandb.mode=offline").code == 0
    (first,) = reading.files(tmp_path / "run")
    first.parent.rename(first.parents[1] / first.parent.name.removeprefix("offline-"))  # W&B's name of an online one
    assert train("logger=wandb", "logger.wandb.mode=offline", "resume=run", "trainer.max_epochs=2").code == 0
    forget()
    ((before, after),) = sync.pending([tmp_path])[0].values()
    assert [part.parent.name.startswith("offline") for part in (before, after)] == [False, True]
    upload(tmp_path)
    (run,) = online.exit_codes
    assert [row["epoch"] for row in online.history(run) if "val/accuracy" in row] == [0, 1]


def test_a_run_that_is_started_again_in_its_folder_is_a_new_run(
    train: Command, tmp_path: Path, online: Service
) -> None:
    for seed in (0, 1):
        assert train("logger=wandb", "logger.wandb.mode=offline", f"seed={seed}").code == 0
    runs = [reading.read(file) for file in reading.files(tmp_path / "run")]
    assert {run.config["seed"] for run in runs} == {0, 1}
    assert len({run.id for run in runs}) == len({run.name for run in runs}) == 2
    upload(tmp_path)
    assert online.exit_codes == {run.id: 0 for run in runs}


def test_a_running_run_is_skipped(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as running:
        for file in reading.files(copied):
            running.enter_context(locked(file.with_suffix(".wandb.lock"), "", wait=False))
        assert sync.sync([copied], 60) == 0
    assert capsys.readouterr().out.count("still running") == 2
    assert len(sync.pending([copied])[0]) == 2


def test_a_run_is_locked_until_it_is_closed(tmp_path: Path) -> None:
    run = WandbRun(str(tmp_path), "project", mode="offline")
    run.start(RunDescription({"data": {"name": "d"}, "loss": {"name": "l"}}, [], []))
    assert list(map(len, sync.pending([tmp_path]))) == [0, 1]
    run.close(0)
    assert list(map(len, sync.pending([tmp_path]))) == [1, 0]
    assert not list(tmp_path.rglob("*.lock"))


def test_the_damaged_part_of_a_killed_run_is_set_aside(
    train: Command, tmp_path: Path, online: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("logger=wandb", "logger.wandb.mode=offline").code == 0
    assert train("logger=wandb", "logger.wandb.mode=offline", "resume=run", "trainer.max_epochs=2").code == 0
    forget()
    killed, _ = reading.files(tmp_path / "run")
    killed.write_bytes(killed.read_bytes()[:-5])
    assert sync.sync([tmp_path], 60) == 1  # perhaps W&B still writes to it
    assert "try again later" in capsys.readouterr().out
    os.utime(killed, (0, 0))
    assert sync.sync([tmp_path], 60) == 0
    broken = killed.with_suffix(".wandb.broken")
    assert f"{broken.relative_to(tmp_path)}: set aside" in capsys.readouterr().out
    assert broken.is_file()
    ((run, code),) = online.exit_codes.items()
    assert code == 0
    epochs = [row["epoch"] for row in online.history(run) if "val/accuracy" in row]
    assert sorted(set(epochs)) == [0, 1]
    assert epochs[-1] == 1
    assert sync.pending([tmp_path]) == ({}, [])


def test_missing_service_key_and_folder_are_errors(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    point_to(unused_address(), monkeypatch)
    with pytest.raises(UserError, match="does not answer"):
        sync.sync([copied], 60)
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", str(copied / "netrc"))
    with pytest.raises(UserError, match="wandb login"):
        sync.sync([copied], 60)
    for arguments, code, text in (
        (["nowhere"], "1", "no such folder"),
        ([".", "timeout=soon"], "2", "--timeout: invalid float value: 'soon'"),
        (["--timeout", "5"], "2", "FOLDER"),
    ):
        monkeypatch.setattr(sys, "argv", ["sync", *arguments])
        with pytest.raises(SystemExit, match=code):
            sync.main()
        assert text in capsys.readouterr().err
