"""Callbacks: metrics.csv, and the paths in resumed checkpoints."""

import csv
from pathlib import Path

import numpy as np
import torch

from tests.conftest import TRUST, Command


def test_metrics_csv_has_a_row_per_epoch(train: Command, tmp_path: Path) -> None:
    assert train("logger=csv", "trainer.max_epochs=3").code == 0
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    wanted = {
        "train/loss",
        "train/lr",
        "val/accuracy",
        "val/recall_important",
        "val/macro_recall",
        "val/angle_var_important",
    }
    assert wanted <= set(rows[0])
    assert all(np.isfinite(float(row["train/loss"])) for row in rows)
    assert float(rows[0]["train/loss"]) != float(rows[1]["train/loss"])


def test_epochs_without_validation_leave_their_columns_empty(train: Command, tmp_path: Path) -> None:
    assert train("logger=csv", "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2").code == 0
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["val/accuracy"]) for row in rows] == [False, True, False]
    assert all(row["train/loss"] for row in rows)
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2


def test_paths_in_a_checkpoint_are_not_followed(train: Command, command: Command, tmp_path: Path) -> None:
    """A checkpoint may come from anywhere, and ModelCheckpoint deletes the files and folders that its state names."""
    assert train("trainer.max_epochs=1").code == 0
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "data.txt").write_text("valuable")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    for state in checkpoint["callbacks"].values():
        if "dirpath" in state:
            path = str(tmp_path / "x" / ".." / "victim")
            state.update(dirpath=str(tmp_path / "x"), best_model_path=path, last_model_path=path)
            state.update(kth_best_model_path=path, best_k_models={path: torch.tensor(-1.0)})
            state.update(kth_value=torch.tensor(-1.0), best_model_score=torch.tensor(-1.0))
    torch.save(checkpoint, last)
    assert command("train", TRUST, f"resume={tmp_path / 'run'}", "trainer.max_epochs=2").code == 0
    assert (victim / "data.txt").read_text() == "valuable"
