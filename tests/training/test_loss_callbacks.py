"""Losses that change during training: ``loss.start``, and the price of ``recall_target``; resumed runs are equal."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from camri_exp.data.splits import HELD_OUT
from camri_exp.results import read_predictions
from tests.conftest import TRUST, Command
from tests.helpers.tiny import TinyDataModule


def constants(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    state = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
    return {key: value for key, value in state.items() if key.startswith("loss.")}


def column(run: Path, name: str) -> list[float]:
    with open(run / "metrics.csv", newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def test_the_held_out_images_are_taken_from_training_alone() -> None:
    plain, held = TinyDataModule(image_size=8), TinyDataModule(image_size=8, held_out=0.25)
    for data in (plain, held):
        data.setup()
    names = {split: set(held.names(split)) for split in ("train", HELD_OUT)}
    assert names["train"] | names[HELD_OUT] == set(plain.names("train"))
    assert not names["train"] & names[HELD_OUT]
    assert [plain.names(split) for split in ("val", "test")] == [held.names(split) for split in ("val", "test")]
    assert sum(held.class_counts) == len(names["train"])
    assert set(held.splits[HELD_OUT].target.tolist()) == set(range(6))


def test_before_the_start_a_loss_is_the_one_without_margin(train: Command, tmp_path: Path) -> None:
    camri = ("loss=camri", "loss.margin=0.4", "trainer.max_epochs=4")
    assert train(*camri, "loss.start=0.5", into="late").code == 0
    assert train("loss=l2_softmax", "trainer.max_epochs=4", into="none").code == 0
    late, none = (column(tmp_path / run, "train/loss") for run in ("late", "none"))
    assert late[:2] == none[:2]
    assert late[2] != none[2]
    assert constants(tmp_path / "late")["loss.margins"].tolist() == pytest.approx([0, 0.4, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "overrides",
    [
        ("loss=recall_target", "loss.recall=0.99", "loss.held_out=0.2", "loss.rate=1", "data.batch_size=13"),
        ("loss=camri", "loss.other_margin=0.1", "loss.margin=0.4", "loss.start=0.5"),
        ("loss=ldam", "loss.beta=0.99", "loss.start=0.5", "loss.partial_auc={weight:0.1}"),
    ],
    ids=lambda overrides: overrides[0],
)
def test_a_resumed_run_equals_an_undisturbed_one(
    train: Command, command: Command, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    constant = ("scheduler=constant", "important_class=2", *overrides)  # the schedule does not depend on the length
    assert train(*constant, "trainer.max_epochs=4", into="whole").code == 0
    first = train(*constant, "trainer.max_epochs=4", "+trainer.max_steps=12", into="cut")  # two epochs of six steps
    assert first.code == 0, first.err
    resumed = command("train", TRUST, f"resume={tmp_path / 'cut'}", "+trainer.max_steps=-1")
    assert resumed.code == 0, resumed.err
    whole, cut = (read_predictions(tmp_path / run / "predictions.npz") for run in ("whole", "cut"))
    assert [key for key in whole if not np.array_equal(whole[key], cut[key])] == []
    for key, value in constants(tmp_path / "whole").items():
        assert torch.equal(value, constants(tmp_path / "cut")[key])


def test_the_price_is_logged_and_evaluation_uses_that_of_the_checkpoint(
    train: Command, command: Command, tmp_path: Path
) -> None:
    settings = "loss.recall=0.5", "loss.rate=0.4", "loss.price=9"  # the recall is larger, so that the price falls
    run = ("loss=recall_target", *settings, "trainer.max_epochs=3", "test_checkpoint=last")
    assert train(*run, "important_class=3").code == 0
    prices = column(tmp_path / "run", "train/price")
    stored = constants(tmp_path / "run")["loss.log_price"]
    assert stored[3].exp().item() == pytest.approx(prices[-1], rel=1e-5)
    assert 0 < stored[3] < np.log(9)
    evaluated = command("evaluate", f"run={tmp_path / 'run'}", "figures=false")
    assert evaluated.code == 0, evaluated.err
    calibration = json.loads((tmp_path / "run" / "evaluation.json").read_text())["calibration"]["important"]
    scores = torch.from_numpy(read_predictions(tmp_path / "run" / "predictions.npz")["test_scores"])
    expected = (scores - stored.float()).softmax(1)[:, 3]
    filled = np.array(calibration["count"]) > 0
    mean = np.average(
        np.array(calibration["confidence"])[filled].astype(float), weights=np.array(calibration["count"])[filled]
    )
    assert mean == pytest.approx(expected.mean().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss=ce", "loss.start=0.8"], "loss.start=0.8: loss=ce has no margin or weight to start later. Omit it."),
        (["loss=ldam", "loss.start=0.8"], "loss.start=0.8: loss=ldam has no margin or weight to start later. Omit it."),
        (["loss=wce", "loss.start=1.0"], "loss.start=1.0: expected a number of at least 0 and below 1, or null."),
        (
            ["loss=wce", "loss.start=0.5", "trainer.max_epochs=-1"],
            "loss.start=0.5 is a share of the epochs. Give their number: trainer.max_epochs=20",
        ),
        (["loss.partial_auc={beta:0.1}"], "loss.partial_auc.weight is missing: expected a number above 0."),
        (
            ["loss=recall_target", "loss.recall=95"],
            "loss=recall_target: recall=95; expected a recall above 0 and below 1",
        ),
    ],
)
def test_wrong_values_end_in_one_line(train: Command, overrides: list[str], message: str) -> None:
    finished = train(*overrides)
    assert (finished.code, finished.err.strip().splitlines()[-1]) == (1, f"error: {message}")
