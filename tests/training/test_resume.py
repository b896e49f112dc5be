"""Resume: an interrupted run ends like an undisturbed one, and no other run is resumed by mistake."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from camri_exp.errors import UserError
from tests.conftest import TRUST, Command
from tests.helpers.results import metrics_of, result_of


@pytest.mark.parametrize("cut_after", [1, 2])
def test_a_resumed_run_ends_like_an_undisturbed_one(
    train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_after: int
) -> None:
    overrides = ("trainer.max_epochs=3", "model=camri_cnn", "model.width=0.125", "logger=csv", "data.augment=true")
    assert train(*overrides, into="whole").code == 0

    from camri_exp.training.callbacks import ReseedEachEpoch

    start = ReseedEachEpoch.on_train_epoch_start

    def cut(self: ReseedEachEpoch, trainer: Any, module: Any) -> None:
        if trainer.current_epoch == cut_after:
            raise UserError("the power went out")
        start(self, trainer, module)

    with monkeypatch.context() as power:
        power.setattr(ReseedEachEpoch, "on_train_epoch_start", cut)
        assert train(*overrides, into="cut").code == 1
    assert not (tmp_path / "cut" / "result.json").exists()
    finished = train(*overrides, f"resume={tmp_path / 'cut'}", into="cut")
    assert finished.code == 0, finished.err
    assert metrics_of(tmp_path / "cut") == metrics_of(tmp_path / "whole")
    whole, cut_ = (np.load(tmp_path / name / "predictions.npz")["test_scores"] for name in ("whole", "cut"))
    assert np.array_equal(whole, cut_)
    rows = [(tmp_path / name / "metrics.csv").read_text().splitlines() for name in ("whole", "cut")]
    assert len(rows[0]) == len(rows[1]) == 4


def test_resume_alone_uses_the_stored_config_and_may_train_longer(
    command: Command, train: Command, tmp_path: Path
) -> None:
    assert train("loss=ce", "trainer.max_epochs=1").code == 0
    run = tmp_path / "run"
    finished = command("train", TRUST, f"resume={run}")
    assert finished.code == 0
    assert "already finished" in finished.out
    longer = train("loss=ce", "trainer.max_epochs=2", f"resume={run}")
    assert longer.code == 0, longer.err
    assert result_of(run)["epochs"] == 2
    assert yaml.safe_load((run / "config.yaml").read_text())["loss"]["name"] == "ce"


def test_resume_keeps_what_the_command_line_does_not_repeat(
    command: Command, train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train("trainer.precision=bf16-mixed", "trainer.max_epochs=1").code == 0
    run = tmp_path / "run"
    with monkeypatch.context() as power:
        power.setattr("camri_exp.training.callbacks.ReseedEachEpoch.on_train_epoch_start", _power_cut)
        assert command("train", TRUST, f"resume={run}", "trainer.max_epochs=2").code == 1
    assert not (run / "result.json").exists(), "a resumed run is not finished"
    longer = command("train", TRUST, f"resume={run}", "trainer.max_epochs=2")
    assert longer.code == 0, longer.err
    assert result_of(run)["epochs"] == 2
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["precision"] == "bf16-mixed"


def _power_cut(*_: Any) -> None:
    raise UserError("the power went out")


def test_resume_finds_the_data_in_its_new_folder(train: Command, tmp_path: Path) -> None:
    assert train("data.root=here", "trainer.max_epochs=1").code == 0
    moved = train("data.root=there", "trainer.max_epochs=2", f"resume={tmp_path / 'run'}")
    assert moved.code == 0, moved.err
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["data"]["root"] == "there"


def test_a_run_that_stopped_early_is_finished(command: Command, train: Command, tmp_path: Path) -> None:
    assert train("callbacks=early_stopping", "callbacks.stop.patience=1", "trainer.max_epochs=40").code == 0
    assert result_of(tmp_path / "run")["epochs"] < 40
    assert "already finished" in command("train", TRUST, f"resume={tmp_path / 'run'}").out


def test_ctrl_c_prints_the_command_that_resumes(
    train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Any, trainer: Any, __: Any) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as hand:
        hand.setattr("camri_exp.training.callbacks.ReseedEachEpoch.on_train_epoch_start", interrupt)
        stopped = train("trainer.max_epochs=2")
    assert stopped.code != 0
    assert "stopped; to resume: python -m camri_exp.train resume=run" in stopped.err
    assert train("trainer.max_epochs=2", "resume=run").code == 0
    assert result_of(tmp_path / "run")["epochs"] == 2


def test_a_moved_run_remembers_its_best_epoch(command: Command, train: Command, tmp_path: Path) -> None:
    assert train("trainer.max_epochs=1", into="first").code == 0
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    (state,) = (state for key, state in checkpoint["callbacks"].items() if "val/accuracy" in key)
    unbeaten = torch.tensor(2.0)
    state.update(best_model_score=unbeaten, kth_value=unbeaten, best_k_models={state["best_model_path"]: unbeaten})
    torch.save(checkpoint, last)
    shutil.move(tmp_path / "first", tmp_path / "moved=d,e")
    longer = command("train", TRUST, f"resume={tmp_path / 'moved=d,e'}", "trainer.max_epochs=2")
    assert longer.code == 0
    assert len(longer.err.splitlines()) == 1, longer.err  # the counts of the important class alone
    checkpoints = tmp_path / "moved=d,e" / "checkpoints"
    assert torch.load(checkpoints / "best.ckpt", weights_only=True)["epoch"] == 0
    assert torch.load(checkpoints / "last.ckpt", weights_only=True)["epoch"] == 1


def test_another_command_line_is_not_a_resume(train: Command, tmp_path: Path) -> None:
    assert train("loss=camri", "loss.margin=0.2").code == 0
    finished = train("loss=camri", "loss.margin=0.4", f"resume={tmp_path / 'run'}")
    assert finished.code == 1
    assert "that run has loss.margin=0.2, this command says 0.4" in finished.err


def test_a_wrong_value_in_the_stored_config_ends_in_one_line(train: Command, command: Command, tmp_path: Path) -> None:
    assert train().code == 0
    path = tmp_path / "run" / "config.yaml"
    content = yaml.safe_load(path.read_text())
    content["trainer"]["gradient_clip_val"] = -1
    path.write_text(yaml.safe_dump(content))
    finished = command("train", TRUST, f"resume={tmp_path / 'run'}")
    assert finished.code == 1
    assert finished.err == "error: trainer.gradient_clip_val=-1: expected a number of at least 0, or null.\n"
