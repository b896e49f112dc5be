"""Files that are written whole or not at all, and locks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from camri_exp.errors import UserError
from camri_exp.files import (
    atomic_path,
    atomic_write,
    claimed,
    display_path,
    is_claimed,
    locked,
    refuse_links,
    require_writable,
    write_json,
)
from tests.conftest import TRUST, Command


def test_a_file_changes_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("before")
    with atomic_write(path) as file:
        file.write("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write(f"half {1 / 0}")
    assert path.read_text() == "after"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_the_temporary_path_keeps_the_suffix_and_a_long_name_fits(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 250 + ".png")
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"1")
    assert path.read_bytes() == b"1"


def test_a_device_is_written_to_and_not_replaced() -> None:
    with atomic_write(Path(os.devnull)) as file:
        file.write("x")
    assert not Path(os.devnull).is_file()


def test_a_link_is_replaced_and_its_target_is_left_alone(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("valuable")
    link.symlink_to(target)
    with atomic_write(link) as file:
        file.write("new")
    assert target.read_text() == "valuable"
    assert not link.is_symlink()
    assert link.read_text() == "new"


def test_json_has_null_in_place_of_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [float("nan"), (float("inf"), 1)], "b": "ü"})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [None, [None, 1]], "b": "ü"}


def test_a_lock_belongs_to_one_process_and_ends_with_it(tmp_path: Path) -> None:
    holder = "import sys, time; from pathlib import Path; from camri_exp.files import locked\n"
    holder += f"with locked(Path({str(tmp_path / 'lock')!r}), ''): print('held', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with locked(tmp_path / "lock", "", wait=False) as mine:
            assert not mine
        process.kill()
    with locked(tmp_path / "lock", "") as mine:
        assert mine


def test_a_folder_is_claimed_until_its_process_ends(tmp_path: Path) -> None:
    assert not is_claimed(tmp_path)
    holder = "import time; from pathlib import Path; from camri_exp.files import claimed\n"
    holder += f"with claimed(Path({str(tmp_path)!r}), ''): print('held', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert is_claimed(tmp_path)
        with claimed(tmp_path, "") as owner:
            assert owner is not None
            assert owner.startswith(f"process {process.pid} on ")
        process.kill()
    assert not is_claimed(tmp_path)
    with claimed(tmp_path, "") as owner:
        assert owner is None


def test_temporary_files_of_killed_processes_are_removed_when_the_folder_is_claimed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for folder in (run, run / "checkpoints", elsewhere):
        folder.mkdir()
        (folder / f".part-{ended.pid}-00.json").touch()
    (run / "checkpoints" / f".part-{os.getppid()}-00.ckpt").touch()  # a process that runs
    (run / ".part-x").touch()
    (run / "figures").symlink_to(elsewhere)
    with claimed(run, ""):
        pass
    assert {path.name for path in run.rglob(".part-*")} == {f".part-{os.getppid()}-00.ckpt", ".part-x"}
    assert os.listdir(elsewhere) == [f".part-{ended.pid}-00.json"]


def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path: Path) -> None:
    require_writable(tmp_path / "new" / "folder", "")
    assert os.listdir(tmp_path / "new" / "folder") == []
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written: .*\. Give another folder"):
        require_writable(tmp_path / "file" / "x", "Give another folder")


def test_a_lock_that_cannot_be_made_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot be written: .*\. Give another folder"),
        locked(tmp_path / "file" / "lock", "Give another folder: x=DIR"),
    ):
        pass


def test_display_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert display_path(tmp_path / "logs" / "run") == Path("logs/run")
    assert display_path(Path("/elsewhere")) == Path("/elsewhere")


def test_links_in_the_folder_of_a_run_are_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "wandb").mkdir()
    (run / "wandb" / "latest-run").symlink_to(run)  # W&B makes these itself
    refuse_links(run)
    (run / "checkpoints" / "last.ckpt").symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match=r"last\.ckpt is a link"):
        refuse_links(run)


@pytest.mark.parametrize("name", ["run.log", "checkpoints", "config.yaml", ".claim", "metrics.csv"])
def test_resume_writes_through_no_link(train: Command, tmp_path: Path, name: str) -> None:
    assert train().code == 0
    victim = tmp_path / "victim"
    path = tmp_path / "run" / name
    if path.is_dir():
        shutil.move(path, victim)
    else:
        path.unlink(missing_ok=True)
        victim.write_text("valuable")
    path.symlink_to(victim)
    before = sorted(victim.iterdir()) if victim.is_dir() else victim.read_text()
    finished = train(TRUST, f"resume={tmp_path / 'run'}", "trainer.max_epochs=2")
    assert finished.code == 1
    assert f"{name} is a link: nothing is written" in finished.err
    assert (sorted(victim.iterdir()) if victim.is_dir() else victim.read_text()) == before
