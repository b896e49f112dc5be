"""The evaluate command: its inputs, its files and its errors."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.evaluations import FIGURES, evaluated, figures
from tests.helpers.results import result_of
from tests.helpers.runs import mixed_images, trained


def test_predictions_alone_are_enough(runs, command, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("result.json", "predictions.npz"):
        shutil.copy(runs["camri"] / name, bare)
    evaluation, printed = evaluated(command, f"run={bare}")
    assert evaluation["calibration"] is None
    assert evaluation["angles"]["weights"] is None
    assert "No calibration" in printed
    assert figures(tmp_path / "out" / "figures") == (FIGURES | {"angles"}) - {"reliability"}


def test_files_are_written_to_the_folder_of_the_run_by_default(runs, command, tmp_path):
    run = tmp_path / "copy, a=b"
    shutil.copytree(runs["ce"], run)
    assert command("evaluate", f"checkpoint={run}/checkpoints/best.ckpt").code == 0
    assert (run / "evaluation.json").is_file()
    assert figures(run / "figures") == FIGURES | {"missed"}
    first = (run / "evaluation.json").read_bytes()
    assert command("evaluate", f"run={run}", "split=val", "figures=false").code == 0
    assert json.loads((run / "evaluation_val.json").read_text())["split"] == "val"
    assert (run / "evaluation.json").read_bytes() == first


def test_training_images_are_evaluated_from_a_checkpoint(runs, command):
    evaluation, _ = evaluated(
        command, f"checkpoint={runs['ce']}/checkpoints/best.ckpt", "split=train", "figures=false",
        name="evaluation_train.json",
    )  # fmt: skip
    assert evaluation["images"] == sum(row["support"] for row in evaluation["per_class"]) > 1000


def test_a_run_trained_on_a_gpu_in_half_precision_is_evaluated_without_one(runs, command, tmp_path):
    run = tmp_path / "gpu"
    shutil.copytree(runs["camri"], run)
    text = (run / "config.yaml").read_text()
    changed = text.replace("accelerator: cpu", "accelerator: gpu").replace("precision: 32-true", "precision: 16-mixed")
    assert changed.count("gpu") >= 1
    assert "16-mixed" in changed
    (run / "config.yaml").write_text(changed)
    evaluation, _ = evaluated(command, f"checkpoint={run}/checkpoints/best.ckpt", "device=cpu")
    assert evaluation["accuracy"] == result_of(run)["test"]["accuracy"]


def test_a_recall_is_estimated_from_the_validation_images_of_a_run_or_of_a_checkpoint(runs, command):
    stored, printed = evaluated(command, f"run={runs['ce']}", "recall=0.6", "confidence=0.9", "figures=false")
    promise = stored["promise"]
    assert (promise["recall"], promise["confidence"], promise["split"]) == (0.6, 0.9, "val")
    assert promise["promised"] is False
    assert f"Threshold {promise['bias']:+.4g}: at least 60 % of 8 would be found, with 90 % confidence" in printed
    checkpoint = f"checkpoint={runs['ce']}/checkpoints/best.ckpt"
    computed, _ = evaluated(command, checkpoint, "recall=0.6", "confidence=0.9", "figures=false")
    assert computed["promise"]["bias"] == pytest.approx(promise["bias"], abs=1e-5)
    assert computed["promise"]["missed"] == promise["missed"]


class Code:
    def __reduce__(self):
        return (print, ("code of the checkpoint ran",))


@pytest.mark.parametrize("name", ["evaluate", "predict", "export"])
def test_a_checkpoint_that_holds_code_is_refused_by_every_command(runs, command, tmp_path, name):
    run = tmp_path / "evil"
    shutil.copytree(runs["ce"], run)
    torch.save({"camri_exp": Code()}, run / "checkpoints" / "best.ckpt")
    more = {"evaluate": (), "predict": ("images=.",), "export": ("output=m.onnx",)}[name]
    finished = command(name, f"checkpoint={run}/checkpoints/best.ckpt", *more)
    assert finished.code == 1
    assert "was refused" in finished.err
    assert "code of the checkpoint ran" not in finished.out


def test_data_of_other_classes_is_refused(command, tmp_path):
    root = mixed_images(tmp_path / "data")
    run = trained(tmp_path / "run", "data=folder", f"data.root={root}", "data.image_size=16", "important_class=dark")
    other = tmp_path / "other"
    shutil.copytree(root, other)
    (other / "dark").rename(other / "murky")
    finished = command("evaluate", f"checkpoint={run}/checkpoints/best.ckpt", f"data.root={other}")
    assert finished.code == 1
    assert "other has the class 'murky'; the model was trained on 'dark', 'light, very'." in finished.err
    assert "murky" in finished.err
    # The data set itself may have moved.
    root.rename(tmp_path / "moved")
    evaluation, _ = evaluated(command, f"checkpoint={run}/checkpoints/best.ckpt", f"data.root={tmp_path / 'moved'}")
    assert evaluation["class_names"] == ["dark", "light, very"]
    with Image.open(tmp_path / "out" / "figures" / "missed.png") as picture:
        assert picture.size[0] > 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "either checkpoint=PATH"),
        (("run=.", "checkpoint=x"), "either checkpoint=PATH"),
        (("run=nowhere",), "no result.json"),
        (("checkpoint=nowhere.ckpt",), "no such file"),
        (("run=RUN", "split=tets"), "expected one of train, val, calibration, test"),
        (("run=RUN", "split=train"), "stored no predictions of split=train"),
        (("run=RUN", "output=RUN/result.json/x"), "Give output=DIR"),
        (("run=RUN", "compare=nowhere"), "no result.json"),
        (("run=RUN", "recall=95"), "recall=95: expected a number above 0 and below 1"),
        (("run=RUN", "recall=0.9", "confidence=1"), "confidence=1: expected a number above 0 and below 1"),
        (("checkpoint=RUN/checkpoints/best.ckpt", "device=tpu9"), "no such device"),
    ],
)
def test_wrong_input_ends_in_one_or_two_lines(runs, command, arguments, message):
    finished = command("evaluate", *(text.replace("RUN", str(runs["ce"])) for text in arguments))
    assert finished.code == 1
    assert message in finished.err
    assert len(finished.err.splitlines()) <= 2


def test_two_dimensional_features_are_drawn_on_circles(command, tmp_path):
    """``experiment=features_2d`` as users start it, for one epoch."""
    finished = command(
        "train", "experiment=features_2d", "trainer.max_epochs=1", "trainer.enable_progress_bar=false",
        "trainer.accelerator=cpu", "model.width=0.5", f"hydra.sweep.dir={tmp_path / 'sweep'}",
    )  # fmt: skip
    assert finished.code == 0, finished.err
    lines = [line.strip() for line in finished.out.splitlines() if line.startswith("  loss=")]
    assert [line.split(": ")[0] for line in lines] == ["loss=l2_softmax", "loss=camri, loss.margin=0.8"]
    with Image.open(tmp_path / "sweep" / "features.png") as picture:
        assert picture.size[0] > picture.size[1]
    runs = sorted(path.parent for path in (tmp_path / "sweep").glob("*/result.json"))
    evaluation, _ = evaluated(command, f"run={runs[0]}", f"compare={runs[1]}")
    assert "features" in figures(tmp_path / "out" / "figures")
    nearest = evaluation["angles"]["weights"]["nearest_to_important"]["3"]
    assert f"3 to {nearest['class']}: {np.degrees(nearest['angle']):.1f}°" in finished.out
