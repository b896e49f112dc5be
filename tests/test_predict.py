"""Predicting from image files: the predictions of the test run, whatever else is in the folder."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from camri_exp.losses import CAMRILoss
from camri_exp.metrics import threshold
from camri_exp.metrics.tuned_threshold import tuned_threshold
from camri_exp.results import RunResult
from tests.helpers.results import result_of
from tests.helpers.runs import mixed_images, trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set of image files, and a run on it."""
    top = tmp_path_factory.mktemp("predict")
    root = mixed_images(top / "data")
    run = trained(
        top / "run", "data=folder", f"data.root={root}", "data.image_size=16", "important_class='light, very'",
        "trainer.max_epochs=2", "model.width=0.5", "data.batch_size=8",
    )  # fmt: skip
    return root, run


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def predicted(command, run, images, *more):
    finished = command("predict", f"checkpoint={run}/checkpoints/best.ckpt", f"images={images}", "output=o.csv", *more)
    assert finished.code == 0, finished.err
    return rows_of("o.csv"), finished


def test_the_test_images_from_their_files_give_the_predictions_of_the_test_run(folder, command):
    root, run = folder
    rows, _ = predicted(command, run, root)
    stored = np.load(run / "predictions.npz")
    names, parameters = ["dark", "light, very"], RunResult.of(run).loss_parameters
    loss = CAMRILoss(2, 1, parameters["margin"], parameters["scale"])
    for split in ("val", "test"):
        assert len(stored[f"{split}_name"])
        for name, scores in zip(stored[f"{split}_name"], stored[f"{split}_scores"], strict=True):
            row = rows[os.path.join(root, name)]
            k = scores.argmax()
            probabilities = loss.probabilities(torch.tensor(scores)[None])[0]
            assert row["prediction"] == names[k]
            assert float(row["probability"]) == pytest.approx(float(probabilities[k]), abs=1e-5)
            assert float(row["probability_important"]) == pytest.approx(float(probabilities[1]), abs=1e-5)
            assert float(row["angle_deg"]) == pytest.approx(np.degrees(np.arccos(scores[k])), abs=1e-2)


def test_batches_of_any_size_give_the_same_rows(folder, command):
    root, run = folder
    single, _ = predicted(command, run, root, "batch_size=1")
    many, _ = predicted(command, run, root, "batch_size=1000")
    assert list(single) == list(many)
    assert [row["prediction"] for row in single.values()] == [row["prediction"] for row in many.values()]


def test_bias_auto_is_the_threshold_chosen_on_validation(folder, command):
    root, run = folder
    stored = np.load(run / "predictions.npz")
    chosen = tuned_threshold(stored["val_scores"], stored["val_target"], [1])
    assert chosen is not None
    rows, finished = predicted(command, run, root, "bias=auto")
    assert f"{chosen.bias:+.4g}" in finished.err
    expected = threshold.moved(stored["test_scores"], [1], chosen.bias)
    predictions = [rows[os.path.join(root, name)]["prediction"] for name in stored["test_name"]]
    assert predictions == [("dark", "light, very")[k] for k in expected]
    everything, _ = predicted(command, run, root, "bias=3")
    assert {row["prediction"] for row in everything.values()} == {"light, very"}


def test_bias_auto_needs_the_checkpoint_whose_predictions_were_stored(folder, command):
    _, run = folder
    finished = command("predict", f"checkpoint={run}/checkpoints/last.ckpt", f"images={run}", "bias=auto")
    assert finished.code == 1
    assert "best.ckpt" in finished.err


def test_unreadable_files_are_named_and_skipped(folder, command, tmp_path):
    root, run = folder
    mess = tmp_path / "mess, a=b"
    shutil.copytree(root / "dark", mess / "deep" / "er")
    (mess / "empty.png").touch()
    (mess / "notes.txt").write_text("not an image, nor the suffix of one")
    (mess / ".hidden.png").write_text("")
    whole = (root / "dark" / "000.png").read_bytes()
    (mess / "cut.png").write_bytes(whole[: len(whole) // 2])
    (mess / "deep" / "back").symlink_to(mess)
    rows, finished = predicted(command, run, mess)
    assert len(rows) == 30
    assert all(Path(path).parent == mess / "deep" / "er" for path in rows)
    assert finished.err.count("unreadable: ") == 2
    assert "empty.png" in finished.err
    assert "cut.png" in finished.err
    assert "2 unreadable files skipped" in finished.err


def test_the_row_of_a_single_image_is_printed(folder, command):
    root, run = folder
    finished = command("predict", f"checkpoint={run}/checkpoints/best.ckpt", f"images={root / 'dark' / '000.png'}")
    lines = finished.out.splitlines()
    assert lines[0] == "path,prediction,probability,probability_important,angle_deg"
    assert len(lines) == 2


def test_linear_heads_have_no_angle(command, tmp_path):
    run = trained(tmp_path / "ce", "data=digits", "loss=ce")
    Image.new("L", (8, 8)).save(tmp_path / "black.png")
    rows, _ = predicted(command, run, tmp_path / "black.png")
    assert [row["angle_deg"] for row in rows.values()] == [""]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "checkpoint=PATH"),
        (("images=nowhere",), "no such file or folder"),
        (("images=.",), "contains no image"),
        (("images=.", "bias=much"), "a number, or auto"),
        (("images=.", "bias=nan"), "a number, or auto"),
        (("images=.", "batch_size=0"), "expected a whole number from 1 to 1000000, or null"),
        (("images=.", "device=tpu9"), "no such device"),
    ],
)
def test_wrong_input_ends_in_one_or_two_lines(folder, command, arguments, message):
    _, run = folder
    given = (f"checkpoint={run}/checkpoints/best.ckpt", *arguments) if arguments else ()
    finished = command("predict", *given)
    assert finished.code == 1
    assert message in finished.err
    assert len(finished.err.splitlines()) <= 2


def test_no_incomplete_file_is_left(folder, command, tmp_path):
    root, run = folder
    (tmp_path / "broken.png").write_text("no")
    best = f"checkpoint={run}/checkpoints/best.ckpt"
    finished = command("predict", best, "images=broken.png", "output=no/such/o.csv")
    assert finished.code == 1
    assert "none of the 1 files can be read as an image" in finished.err
    finished = command("predict", best, f"images={root}", f"output={tmp_path}")
    assert finished.code == 1
    assert "is a folder" in finished.err
    assert not list(tmp_path.parent.glob(".part*"))
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".csv"]
    finished = command("predict", best, "images=broken.png", "output=broken.png/o")
    assert finished.code == 1
    assert "cannot be written" in finished.err


@pytest.mark.realdata
def test_gtsrb_test_images_from_their_files(real_data, command, tmp_path):
    run = trained(
        tmp_path / "run", "data=gtsrb", f"data.root={real_data}", "model.width=0.5", "data.batch_size=256",
        "trainer.limit_train_batches=60", "trainer.precision=bf16-mixed",
    )  # fmt: skip
    top = real_data / "gtsrb"
    rows, _ = predicted(command, run, top / "GTSRB" / "Final_Test" / "Images")
    stored = np.load(run / "predictions.npz")
    assert len(stored["test_name"]) == len(rows) == 12_630
    names = result_of(run)["class_names"]
    expected = [names[k] for k in stored["test_scores"].argmax(1)]
    predictions = [rows[os.path.join(top, name)]["prediction"] for name in stored["test_name"]]
    wrong = [i for i, (a, b) in enumerate(zip(expected, predictions, strict=True)) if a != b]
    assert not wrong
