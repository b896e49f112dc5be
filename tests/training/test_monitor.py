"""``callbacks.best.monitor=val/recall_at_accuracy``: the best epoch by the rule of the report."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from camri_exp.metrics.threshold import recall_at_accuracy
from camri_exp.results import read_predictions
from tests.conftest import Command

MONITOR = "callbacks.best.monitor=val/recall_at_accuracy"
ACCURACY = "callbacks.recall_at_accuracy.accuracy"


def column(run: Path, name: str) -> list[float]:
    with open(run / "metrics.csv", newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("accuracy", [None, 0.3, 1.0])
def test_the_chosen_epoch_is_the_first_of_largest_value(train: Command, tmp_path: Path, accuracy: float | None) -> None:
    given = [] if accuracy is None else [f"{ACCURACY}={accuracy}"]
    finished = train("loss=ce", "trainer.max_epochs=4", MONITOR, *given)
    assert finished.code == 0, finished.err
    values = column(tmp_path / "run", "val/recall_at_accuracy")
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == int(np.argmax(values))
    stored = read_predictions(tmp_path / "run" / "predictions.npz")  # those of the chosen epoch
    assert recall_at_accuracy(stored["val_scores"], stored["val_target"], [1], accuracy) == pytest.approx(max(values))
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert not result["class_free"]  # another important class would choose another epoch


def test_without_such_a_monitor_nothing_is_computed(train: Command, tmp_path: Path) -> None:
    assert train().code == 0
    assert "recall_at_accuracy" not in (tmp_path / "run" / "metrics.csv").read_text()


def test_wrong_values_end_in_one_line(train: Command) -> None:
    assert train(f"{ACCURACY}=98").err.strip().splitlines()[-1] == (
        "error: callbacks.recall_at_accuracy: accuracy=98; expected a number from 0 to 1, or null"
    )
    all_important = train(MONITOR, f"{ACCURACY}=0.5", "important_class=[0,1,2,3,4,5]")
    assert all_important.err.strip().splitlines()[-1] == (
        "error: monitor=val/recall_at_accuracy: a threshold curve needs images, and a class that is not important"
    )
