"""Checkpoints are written whole or not at all."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from camri_exp.errors import UserError
from camri_exp.training.checkpoint_io import AtomicCheckpointIO
from tests.conftest import Command

SMALL, LARGE = {"x": torch.zeros(10)}, {"x": torch.ones(1000)}


def test_an_interrupted_write_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(SMALL, path)

    def half(content: Any, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", half)
        with pytest.raises(KeyboardInterrupt):
            AtomicCheckpointIO().save_checkpoint(LARGE, path)
    assert torch.equal(torch.load(path, weights_only=True)["x"], SMALL["x"])
    assert os.listdir(path.parent) == ["last.ckpt"]


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), RuntimeError("[enforce fail] . unexpected pos 704 vs 598")],
)
def test_a_full_disk_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: Any) -> None:
        raise error

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"last\.ckpt cannot be written: .*make room, then resume the run") as told:
        AtomicCheckpointIO().save_checkpoint(SMALL, tmp_path / "last.ckpt")
    assert len(str(told.value).splitlines()) == 1


def test_a_run_writes_its_checkpoints_next_to_their_targets(
    train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing passes through the temporary folder of the system, which may be another file system."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    written: list[Path] = []
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda content, path: (written.append(Path(path)), save(content, path)))
    assert train().code == 0
    assert {path.parent for path in written} == {tmp_path / "run" / "checkpoints"}
    assert not list((tmp_path / "tmp").iterdir())
