"""``loss.decoder``: what a decoder returns is what training, evaluation and ``predict`` call the scores."""

from pathlib import Path

import numpy as np
import pytest
import torch

from camri_exp.models.checkpoint import load
from camri_exp.models.inference import Predictor
from camri_exp.results import RunResult, read_predictions
from tests.conftest import TRUST, Command
from tests.helpers.tiny import TinyDataModule


def scores_of(run: Path) -> np.ndarray:
    return read_predictions(run / "predictions.npz")["test_scores"]


@pytest.mark.parametrize("decoder", ["debiased", "nearest"])
def test_a_decoder_changes_predictions_but_not_the_training(train: Command, tmp_path: Path, decoder: str) -> None:
    common = ("loss=mse_outlying", "loss.ranks=4", "test_checkpoint=last")
    assert train(*common, into="argmax").code == 0
    assert train(*common, f"loss.decoder={decoder}", into="other").code == 0
    label = np.where(np.arange(6) == 1, 20, 5)  # alpha 5, rank 4 of the important class
    outputs, decoded = scores_of(tmp_path / "argmax"), scores_of(tmp_path / "other")
    expected = outputs / label if decoder == "debiased" else label * (outputs - label / 2)
    np.testing.assert_allclose(decoded, expected, rtol=1e-5, atol=1e-4)
    stored = read_predictions(tmp_path / "other" / "predictions.npz")
    accuracy = float((decoded.argmax(1) == stored["test_target"]).mean())
    assert RunResult.of(tmp_path / "other").test.accuracy == pytest.approx(accuracy)

    _, model = load(tmp_path / "other" / "checkpoints" / "last.ckpt", [TRUST.partition("=")[2]])
    data = TinyDataModule(image_size=8)
    data.setup()
    scores, probabilities = Predictor(model, device="cpu")(torch.as_tensor(data.images("test")))
    np.testing.assert_allclose(scores, decoded, rtol=1e-4, atol=1e-3)
    estimate = (outputs / label).clip(0)
    np.testing.assert_allclose(probabilities, estimate / estimate.sum(1, keepdims=True), rtol=1e-3, atol=1e-4)
