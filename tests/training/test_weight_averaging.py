"""The average of the weights is what is validated, tested, stored and resumed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from camri_exp.errors import UserError
from camri_exp.models.classifier import Classifier
from camri_exp.training.weight_averaging import EMA
from tests.conftest import TRUST, Command
from tests.helpers.results import metrics_of, result_of

SMALL = (
    "model=camri_cnn", "model.width=0.125", "callbacks=ema", "callbacks.ema.decay=0.9", "data.augment=true", "loss=ce"
)  # fmt: skip
THAW = ("model.freeze_epochs=1", "model.warmup_epochs=1", "model.backbone_lr=0.5", "model.decay_norms=false")


def test_the_checkpoints_hold_the_average_of_the_weights_of_all_steps(
    train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    step = Classifier.optimizer_step

    def spy(self: Classifier, *arguments: Any, **options: Any) -> None:
        step(self, *arguments, **options)
        seen.append({name: value.detach().clone() for name, value in self.state_dict().items()})

    monkeypatch.setattr(Classifier, "optimizer_step", spy)
    assert train(*SMALL, "trainer.max_epochs=2").code == 0
    expected = seen[0]
    for n, weights in enumerate(seen[1:], start=1):
        decay = min(0.9, (1 + n) / (10 + n))
        expected = {name: decay * value + (1 - decay) * weights[name] for name, value in expected.items()}
    stored = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    floating = [name for name, value in stored["state_dict"].items() if value.is_floating_point()]
    assert {"head.weight", "backbone.layers.0.weight"} <= set(floating)
    for name in floating:
        torch.testing.assert_close(stored["state_dict"][name], expected[name])
        torch.testing.assert_close(stored["current_model_state"][name], seen[-1][name])


def test_the_test_of_the_run_is_that_of_the_stored_average(command: Command, train: Command, tmp_path: Path) -> None:
    assert train(*SMALL, "trainer.max_epochs=3").code == 0
    run = tmp_path / "run"
    kept = np.load(run / "predictions.npz")
    from camri_exp.evaluation.predictions import from_checkpoint

    model = from_checkpoint(run / "checkpoints" / "best.ckpt", "val", "test", trusted=[TRUST.removeprefix("trust=")])
    for split in ("val", "test"):
        np.testing.assert_allclose(model.splits[split].scores, kept[f"{split}_scores"], atol=1e-5)


@pytest.mark.parametrize("more", [(), THAW])
def test_a_resumed_run_ends_like_an_undisturbed_one_also_after_the_thaw(
    train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    overrides = (*SMALL, *more, "trainer.max_epochs=3")
    assert train(*overrides, into="whole").code == 0
    start = Classifier.on_train_epoch_start

    def cut(self: Classifier) -> None:
        if self.current_epoch == 2:
            raise UserError("the power went out")
        start(self)

    with monkeypatch.context() as power:
        power.setattr(Classifier, "on_train_epoch_start", cut)
        assert train(*overrides, into="cut").code == 1
    finished = train(*overrides, f"resume={tmp_path / 'cut'}", into="cut")
    assert finished.code == 0, finished.err
    assert len(finished.err.splitlines()) == 1, finished.err  # the counts of the important class alone
    assert metrics_of(tmp_path / "cut") == metrics_of(tmp_path / "whole")
    whole, resumed = (np.load(tmp_path / name / "predictions.npz")["test_scores"] for name in ("whole", "cut"))
    assert np.array_equal(whole, resumed)
    ends = [torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("whole", "cut")]
    for name, value in ends[0]["current_model_state"].items():
        assert torch.equal(value, ends[1]["current_model_state"][name]), name
    assert result_of(tmp_path / "cut")["epochs"] == 3


def test_a_decay_that_averages_nothing_or_everything() -> None:
    for decay in (0.0, 1.0):
        with pytest.raises(ValueError, match=rf"decay={decay}; expected a number above 0 and below 1"):
            EMA(decay)
