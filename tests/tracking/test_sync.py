"""Uploading afterwards: what is not up, run by run, again after a failure."""

import shutil
import sys
from pathlib import Path

import pytest

from camri_exp.errors import UserError
from camri_exp.tracking import sync
from tests.conftest import Command
from tests.helpers import wandb_files as reading
from tests.helpers.wandb_service import Service, nobody
from tests.tracking.conftest import forget, point_to


@pytest.fixture
def copied(sweep: Path, tmp_path: Path) -> Path:
    """Two jobs of the sweep, to be uploaded."""
    for job in sorted(path.parent for path in sweep.glob("*/wandb"))[:2]:
        shutil.copytree(job, tmp_path / "sweep" / job.name, symlinks=True)
    return tmp_path / "sweep"


def upload(folder: Path) -> None:
    forget()  # the end of a file that this process wrote may still be on its way
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


def test_it_goes_on_after_a_failure(copied: Path, online: Service, capsys: pytest.CaptureFixture[str]) -> None:
    online.lives = 2  # it answers, takes the first run's beginning, and is gone
    assert sync.sync([copied], 3) == 2
    assert "0 uploaded, 2 left; the same command goes on" in capsys.readouterr().out
    online.lives = None
    assert sync.sync([copied], 60) == 0
    for run in (reading.read(file) for file in reading.files(copied)):
        sent = [row["_step"] for row in online.history(run.id)]
        assert sorted(set(sent)) == sorted(row["_step"] for row in run.history)
        assert sent[-len(run.history) :] == sorted(set(sent))  # whole; rows that were up already may stand before it


def test_the_parts_of_a_resumed_run_become_one(train: Command, tmp_path: Path, online: Service) -> None:
    assert train("logger=wandb", "logger.wandb.mode=offline").code == 0
    assert train("logger=wandb", "logger.wandb.mode=offline", "resume=run", "trainer.max_epochs=2").code == 0
    upload(tmp_path)
    ((run, code),) = online.exit_codes.items()
    assert code == 0
    assert [row["epoch"] for row in online.history(run) if "val/accuracy" in row] == [0, 1]


def test_a_part_that_was_online_keeps_its_place(train: Command, tmp_path: Path, online: Service) -> None:
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


def test_a_run_started_anew_in_its_folder_is_another(train: Command, tmp_path: Path, online: Service) -> None:
    for seed in (0, 1):
        assert train("logger=wandb", "logger.wandb.mode=offline", f"seed={seed}").code == 0
    runs = [reading.read(file) for file in reading.files(tmp_path / "run")]
    assert {run.config["seed"] for run in runs} == {0, 1}
    assert len({run.id for run in runs}) == len({run.name for run in runs}) == 2
    upload(tmp_path)
    assert online.exit_codes == {run.id: 0 for run in runs}


def test_a_run_that_goes_on_is_left_alone(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in reading.files(copied):
        whole = file.read_bytes()
        file.write_bytes(whole[:-30])  # without the record of its end, and just written
    assert sync.sync([copied], 60) == 0
    assert capsys.readouterr().out.count("still running") == 2


def test_what_cannot_work_is_said_at_once(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    point_to(nobody(), monkeypatch)
    with pytest.raises(UserError, match="does not answer"):
        sync.sync([copied], 60)
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", str(copied / "netrc"))
    with pytest.raises(UserError, match="wandb login"):
        sync.sync([copied], 60)
    for arguments, text in ((["nowhere"], "no such folder"), ([".", "timeout=soon"], "expected seconds")):
        monkeypatch.setattr(sys, "argv", ["sync", *arguments])
        with pytest.raises(SystemExit, match="1"):
            sync.main()
        assert text in capsys.readouterr().err
