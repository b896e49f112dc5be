"""``predict`` and ``export`` with a promised recall, on image files."""

import csv
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from camri_exp.deploy.published import preprocess
from camri_exp.evaluation.operating_point import promise_of_checkpoint
from camri_exp.metrics import threshold
from tests.helpers.runs import mixed_images, trained

NAMES = ("dark", "light, very")
ASKED = ("recall=0.6", "confidence=0.9")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on image files, with calibration images."""
    top = tmp_path_factory.mktemp("promise")
    root = mixed_images(top / "data")
    return trained(
        top / "run", "data=folder", f"data.root={root}", "data.image_size=16", "important_class='light, very'",
        "data.calibration_fraction=0.4", "model.width=0.5", "data.batch_size=8",
    )  # fmt: skip


def predicted(command, run, *more):
    finished = command(
        "predict", f"checkpoint={run}/checkpoints/best.ckpt", f"images={run.parent}/data", "output=o.csv", *more
    )
    assert finished.code == 0, finished.err
    with open("o.csv", newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}, finished.err


def test_predict_uses_the_promised_threshold(run, command):
    promise = promise_of_checkpoint(run / "checkpoints" / "best.ckpt", 0.6, 0.9)
    rows, printed = predicted(command, run, *ASKED)
    assert promise.promised
    assert f"{promise.bias:+.4g} (promised)" in printed
    assert "at least 60 % of light, very will be found, with 90 % confidence" in printed
    stored = np.load(run / "predictions.npz")
    expected = threshold.moved(stored["test_scores"], [1], promise.bias)
    names = [str(run.parent / "data" / name) for name in stored["test_name"]]
    assert [rows[name]["prediction"] for name in names] == [NAMES[k] for k in expected]
    calibration = threshold.moved(stored["calibration_scores"], [1], promise.bias)
    assert (calibration[stored["calibration_target"] == 1] != 1).sum() == promise.missed


def test_the_exported_prediction_is_that_of_predict_for_every_file(run, command):
    finished = command("export", f"checkpoint={run}/checkpoints/best.ckpt", "output=model.onnx", *ASKED)
    assert finished.code == 0, finished.err
    assert "(promised)" in finished.out
    model = onnxruntime.InferenceSession("model.onnx")
    metadata = {key: json.loads(value) for key, value in model.get_modelmeta().custom_metadata_map.items()}
    promise = promise_of_checkpoint(run / "checkpoints" / "best.ckpt", 0.6, 0.9)
    assert metadata["bias"] == [promise.bias]
    assert metadata["promise"]["promised"] is True
    assert (metadata["promise"]["recall"], metadata["promise"]["confidence"]) == (0.6, 0.9)
    assert metadata["promise"]["images"] == promise.images
    rows, _ = predicted(command, run, *ASKED)
    assert len(rows) == 60
    for path, row in rows.items():
        *_, prediction = model.run(None, {"images": preprocess(path, metadata)})
        assert metadata["class_names"][prediction[0]] == row["prediction"], path


def test_all_probabilities_and_the_images_to_review(run, command):
    rows, printed = predicted(command, run, "recall=0.3", "confidence=0.9", "review=0.3", "probabilities=true")
    lower = promise_of_checkpoint(run / "checkpoints" / "best.ckpt", 0.7, 0.9).bias
    upper = promise_of_checkpoint(run / "checkpoints" / "best.ckpt", 0.3, 0.9).bias
    assert upper < lower
    for row in rows.values():
        values = [float(row[f"probability of {name}"]) for name in NAMES]
        assert sum(values) == pytest.approx(1, abs=1e-5)
        assert values[1] == float(row["probability_important"])
    stored = np.load(run / "predictions.npz")
    scores = stored["test_scores"]
    between = (threshold.moved(scores, [1], lower) == 1) & (threshold.moved(scores, [1], upper) == 0)
    names = [str(run.parent / "data" / name) for name in stored["test_name"]]
    assert [rows[name]["review"] for name in names] == [str(value).lower() for value in between.tolist()]
    number = sum(row["review"] == "true" for row in rows.values())
    assert f"{number} image{'s' * (number != 1)} to review: below the lower threshold ({lower:+.4g}) are at most 30 %" \
        in printed  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("predict", ("recall=0.99",), "299 images of light, very are needed for 99 %; there are"),
        ("export", ("recall=0.99",), "299 images of light, very are needed for 99 %; there are"),
        ("predict", ("recall=0.6", "bias=2"), "recall=0.6 chooses the bias. Omit bias=2, or recall."),
        ("export", ("recall=0.6", "bias=2"), "recall=0.6 chooses the bias. Omit bias=2, or recall."),
        ("predict", (*ASKED, "review=0.5"), "review=0.5 leaves nothing to review with recall=0.6"),
        ("predict", ("review=0.001",), "images of light, very are needed for 99.9 %"),
        ("predict", ("review=2",), "review=2: expected a number above 0 and below 1"),
    ],
)
def test_what_cannot_be_promised_is_refused(run, command, name, arguments, message):
    more = {"predict": f"images={run.parent}/data", "export": "output=model.onnx"}[name]
    finished = command(name, f"checkpoint={run}/checkpoints/best.ckpt", more, *arguments)
    assert finished.code == 1
    assert message in finished.err
    assert len(finished.err.splitlines()) <= 2
    assert not Path("model.onnx").exists()
