"""The card of an exported model."""

import hashlib
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from camri_exp.deploy.card import CARD, check_card, write_card
from camri_exp.errors import UserError
from camri_exp.evaluation.operating_point import OperatingPoint, operating_point_of
from camri_exp.models.metadata import ModelMetadata
from tests.helpers.generated_runs import CLASSES, write_run

METADATA = ModelMetadata(
    data="toy", loss="ce", model="toy_cnn", class_names=CLASSES, class_counts=[50, 60, 70], important_class=[0],
    channels=3, image_size=32, mean=[0.5] * 3, std=[0.2] * 3,
)  # fmt: skip


@pytest.fixture
def checkpoint(tmp_path):
    """The checkpoint of a run with calibration images, and an exported file next to it."""
    run = write_run(tmp_path / "run", "ce", 0, images=900)
    with np.load(run / "predictions.npz") as file:
        arrays = dict(file)
    arrays |= {f"calibration_{key}": arrays[f"val_{key}"] for key in ("scores", "target")}
    np.savez(run / "predictions.npz", **arrays)
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "best.ckpt").write_bytes(b"weights")
    (tmp_path / "model.onnx").write_bytes(b"graph")
    return run / "checkpoints" / "best.ckpt"


def card(checkpoint, point, metadata=METADATA):
    return write_card(checkpoint.parents[2] / "model.onnx", checkpoint, metadata, point).read_text()


def test_the_card_has_counts_numbers_promise_and_hashes(checkpoint):
    point = operating_point_of(checkpoint, "auto", 0.8, 0.95)
    text = card(checkpoint, point)
    assert re.findall("^#+ .*", text, re.MULTILINE)[1:] == [
        "## Data", "## Numbers", "## Promise", "## Threshold", "## Not for", "## Versions",
    ]  # fmt: skip
    assert "| **cat** | 50 | 300 | 300 | 300 |" in text
    assert "| all | 180 | 900 | 900 | 900 |" in text
    recall = json.loads((checkpoint.parents[1] / "result.json").read_text())["test"]["recall"]["cat"]
    assert f"| recall of cat | {100 * recall:.1f} % (95 % CI " in text
    assert f"- Threshold {point.promise.bias:+.4g}: at least 80 % of cat will be found, with 95 % confidence" in text
    assert "- Conditions: " in text
    assert f"| SHA-256 of model.onnx | `{hashlib.sha256(b'graph').hexdigest()}` |" in text
    assert f"| SHA-256 of best.ckpt | `{hashlib.sha256(b'weights').hexdigest()}` |" in text


def test_names_are_plain_text_in_markdown(checkpoint):
    text = card(
        checkpoint, OperatingPoint(0.0, "(given)"), replace(METADATA, data="a\nb <script>", important_class=[1])
    )
    assert "<script>" not in text
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)>" in text
    assert "a\\|b &amp; c\\_d" in text
    assert "a b &lt;script>" in text
    for row in (line for line in text.splitlines() if line.startswith("| ")):
        assert len(re.split(r"(?<!\\)\|", row)) in (4, 5, 7), row


def test_without_a_promise_nothing_is_promised(checkpoint):
    text = card(checkpoint, OperatingPoint(0.25, "(given)"))
    assert "No recall is promised." in text
    assert "- Uses that need a guaranteed recall." in text
    assert "Bias of cat: +0.25 (given)." in text
    assert "Conditions" not in text


def test_an_estimate_is_called_one(checkpoint):
    with np.load(checkpoint.parents[1] / "predictions.npz") as file:
        arrays = {name: array for name, array in file.items() if not name.startswith("calibration")}
    np.savez(checkpoint.parents[1] / "predictions.npz", **arrays)
    text = card(checkpoint, operating_point_of(checkpoint, "auto", 0.8, 0.95))
    assert "This is an estimate and no promise" in text
    assert "- Uses that need a guaranteed recall." in text
    assert "| class | training | validation | test |" in text


def test_a_checkpoint_without_its_run_has_a_card_too(checkpoint, tmp_path):
    shutil.copytree(checkpoint.parent, tmp_path / "alone" / "checkpoints")
    text = card(tmp_path / "alone" / "checkpoints" / "best.ckpt", OperatingPoint(0.0, "(given)"))
    assert "Not known: " in text
    assert "no result.json" in text
    assert "| **cat** | 50 |" in text


def test_a_card_of_somebody_else_is_kept(tmp_path):
    (tmp_path / CARD).write_text("my own words")
    with pytest.raises(UserError, match=r"card\.md was not written by camri_exp\.export\. Rename it"):
        check_card(tmp_path)
