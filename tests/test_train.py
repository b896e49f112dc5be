"""The main job: what a run leaves behind, that it repeats itself to the bit, and that it goes on where it was cut."""

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import accuracy_score, precision_score, recall_score

from camri_exp.errors import UserError
from tests.conftest import QUICK, TESTS, Command


def result_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


def numbers(run: Path) -> dict[str, Any]:
    return {split: result_of(run)[split] for split in ("val", "test")}


def test_a_run_leaves_all_that_the_design_promises(train: Command, tmp_path: Path) -> None:
    finished = train("loss=camri", "logger=csv", "trainer.max_epochs=2")
    assert finished.code == 0, finished.err
    run = tmp_path / "run"
    left = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert left == {
        "config.yaml",
        "result.json",
        "predictions.npz",
        "metrics.csv",
        "run.log",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    }
    result = result_of(run)
    assert (result["schema"], result["status"], result["data"], result["loss"]) == (1, "finished", "tiny", "camri")
    assert (result["model"], result["seed"], result["important_class"], result["epochs"]) == ("small_cnn", 0, [1], 2)
    assert result["important_class_names"] == [result["class_names"][1]]
    assert "loss=camri" in result["overrides"]
    assert result["images_per_second"] > 0
    assert result["fit_seconds"] > 0
    for split in ("val", "test"):
        assert set(result[split]) == {"accuracy", "recall_important", "precision_important", "macro_recall", "recall"}
        assert list(result[split]["recall"]) == result["class_names"]


def test_the_next_commands_work_as_they_are_printed(train: Command, command: Command, tmp_path: Path) -> None:
    told = train("seed=3", "important_class=blue", "loss=camri", "loss.margin=0.3").out
    evaluate, sweep = [shlex.split(line.partition("python -m ")[2]) for line in told.splitlines()[-2:]]
    assert evaluate[0] == "camri_exp.evaluate"
    assert command("evaluate", *evaluate[1:]).code == 0
    assert sweep[:2] == ["camri_exp.train", "-m"]
    here = (f"hydra.searchpath=[file://{TESTS / 'configs'}]", "sweep.name=next")
    assert command("train", *sweep[1:], *here).code == 0
    results = [json.loads(path.read_text()) for path in Path("logs/sweeps/next").glob("*/result.json")]
    assert sorted((result["loss"], result["seed"]) for result in results) == [
        (loss, seed) for loss in ("camri", "ce") for seed in (0, 1, 2)
    ]
    assert {result["data"] for result in results} == {"tiny"}
    assert {name for result in results for name in result["important_class_names"]} == {"blue"}


def test_the_numbers_are_those_of_the_predictions(train: Command, tmp_path: Path) -> None:
    assert train("important_class=[1,3]").code == 0
    result = result_of(tmp_path / "run")
    with np.load(tmp_path / "run" / "predictions.npz") as arrays:
        for split in ("val", "test"):
            scores, target = arrays[f"{split}_scores"], arrays[f"{split}_target"]
            prediction = scores.argmax(1)
            recalls = recall_score(target, prediction, average=None, zero_division=0)
            assert result[split]["accuracy"] == pytest.approx(accuracy_score(target, prediction), abs=1e-12)
            assert result[split]["macro_recall"] == pytest.approx(recalls.mean(), abs=1e-12)
            assert result[split]["recall_important"] == pytest.approx(recalls[[1, 3]].mean(), abs=1e-12)
            precisions = precision_score(target, prediction, average=None, zero_division=0)
            assert result[split]["precision_important"] == pytest.approx(precisions[[1, 3]].mean(), abs=1e-12)
            own = np.take_along_axis(scores, target[:, None], 1)[:, 0]
            np.testing.assert_allclose(np.cos(arrays[f"{split}_angle"]), own, atol=1e-6)
            assert len(arrays[f"{split}_name"]) == len(target)
        angles = [arrays["test_angle"][target == k].astype(float) for k in range(6)]
        assert result["angles"]["count"] == [len(one) for one in angles]
        np.testing.assert_allclose(result["angles"]["mean"], [one.mean() for one in angles])
        np.testing.assert_allclose(result["angles"]["variance"], [one.var() for one in angles])


def test_metrics_csv_has_a_row_an_epoch(train: Command, tmp_path: Path) -> None:
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


def test_checkpoints_hold_weights_and_plain_values_only(train: Command, tmp_path: Path) -> None:
    assert train().code == 0
    for name in ("best", "last"):
        checkpoint = torch.load(tmp_path / "run" / "checkpoints" / f"{name}.ckpt", weights_only=True)
        about = checkpoint["camri_exp"]
        assert about["class_names"] == result_of(tmp_path / "run")["class_names"]
        assert about["important_class"] == [1]


def test_the_same_seed_gives_the_same_numbers_to_the_bit(train: Command, tmp_path: Path) -> None:
    for into, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert train(f"seed={seed}", "trainer.max_epochs=2", into=into).code == 0
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    scores = [np.load(tmp_path / name / "predictions.npz")["test_scores"] for name in "abc"]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])
    assert result_of(tmp_path / "a")["config_hash"] == result_of(tmp_path / "b")["config_hash"]
    assert result_of(tmp_path / "a")["config_hash"] != result_of(tmp_path / "c")["config_hash"]


@pytest.mark.parametrize("cut_after", [1, 2])
def test_a_resumed_run_ends_like_an_unbroken_one(
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
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")
    whole, cut_ = (np.load(tmp_path / name / "predictions.npz")["test_scores"] for name in ("whole", "cut"))
    assert np.array_equal(whole, cut_)
    rows = [(tmp_path / name / "metrics.csv").read_text().splitlines() for name in ("whole", "cut")]
    assert len(rows[0]) == len(rows[1]) == 4


def test_resume_alone_takes_the_stored_config_and_may_train_longer(
    command: Command, train: Command, tmp_path: Path
) -> None:
    assert train("loss=ce", "trainer.max_epochs=1").code == 0
    run = tmp_path / "run"
    finished = command("train", f"resume={run}")
    assert finished.code == 0
    assert "finished already" in finished.out
    longer = train("loss=ce", "trainer.max_epochs=2", f"resume={run}")
    assert longer.code == 0, longer.err
    assert result_of(run)["epochs"] == 2
    assert yaml.safe_load((run / "config.yaml").read_text())["loss"]["name"] == "ce"


def test_resume_keeps_what_is_not_said_again(
    command: Command, train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train("trainer.precision=bf16-mixed", "trainer.max_epochs=1").code == 0
    run = tmp_path / "run"
    with monkeypatch.context() as power:
        power.setattr("camri_exp.training.callbacks.ReseedEachEpoch.on_train_epoch_start", _power_cut)
        assert command("train", f"resume={run}", "trainer.max_epochs=2").code == 1
    assert not (run / "result.json").exists(), "a run that goes on is not finished"
    longer = command("train", f"resume={run}", "trainer.max_epochs=2")
    assert longer.code == 0, longer.err
    assert result_of(run)["epochs"] == 2
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["precision"] == "bf16-mixed"


def _power_cut(*_: Any) -> None:
    raise UserError("the power went out")


def test_resume_finds_the_data_where_they_lie_now(train: Command, tmp_path: Path) -> None:
    assert train("data.root=here", "trainer.max_epochs=1").code == 0
    moved = train("data.root=there", "trainer.max_epochs=2", f"resume={tmp_path / 'run'}")
    assert moved.code == 0, moved.err
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["data"]["root"] == "there"


def test_a_run_that_stopped_early_is_finished(command: Command, train: Command, tmp_path: Path) -> None:
    assert train("callbacks=early_stopping", "callbacks.stop.patience=1", "trainer.max_epochs=40").code == 0
    assert result_of(tmp_path / "run")["epochs"] < 40
    assert "finished already" in command("train", f"resume={tmp_path / 'run'}").out


def test_ctrl_c_says_how_to_go_on(train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: Any, trainer: Any, __: Any) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as hand:
        hand.setattr("camri_exp.training.callbacks.ReseedEachEpoch.on_train_epoch_start", interrupt)
        stopped = train("trainer.max_epochs=2")
    assert stopped.code != 0
    assert "stopped; to go on: python -m camri_exp.train resume=run" in stopped.err
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
    longer = command("train", f"resume={tmp_path / 'moved=d,e'}", "trainer.max_epochs=2")
    assert longer.code == 0
    assert longer.err == ""
    checkpoints = tmp_path / "moved=d,e" / "checkpoints"
    assert torch.load(checkpoints / "best.ckpt", weights_only=True)["epoch"] == 0
    assert torch.load(checkpoints / "last.ckpt", weights_only=True)["epoch"] == 1


def test_epochs_without_validation_show_none_and_are_kept(train: Command, tmp_path: Path) -> None:
    assert train("logger=csv", "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2").code == 0
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["val/accuracy"]) for row in rows] == [False, True, False]
    assert all(row["train/loss"] for row in rows)
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2


def test_frozen_epochs_train_the_head_alone(train: Command, tmp_path: Path) -> None:
    weights = {}
    for name, frozen, epochs in (("one", 1, 1), ("two", 2, 2), ("thawed", 1, 2)):
        assert train(f"model.freeze_epochs={frozen}", f"trainer.max_epochs={epochs}", into=name).code == 0
        weights[name] = torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]

    def differing(a: str, b: str) -> set[str]:
        return {key.split(".")[0] for key, value in weights[a].items() if not torch.equal(value, weights[b][key])}

    assert differing("one", "two") == {"head"}, "batch norm's statistics stay as well"
    assert differing("one", "thawed") == {"backbone", "head"}


def test_another_command_line_is_not_a_resume(train: Command, tmp_path: Path) -> None:
    assert train("loss=camri", "loss.margin=0.2").code == 0
    finished = train("loss=camri", "loss.margin=0.4", f"resume={tmp_path / 'run'}")
    assert finished.code == 1
    assert "that run has loss.margin=0.2, this command says 0.4" in finished.err


def test_a_loss_that_becomes_nan_stops_the_run_and_says_where(train: Command) -> None:
    finished = train("loss=ce", "optimizer=sgd", "optimizer.lr=1e30", "scheduler=constant", "trainer.max_epochs=3")
    assert finished.code == 1
    assert "epoch 0, step" in finished.err
    assert "Usual causes: too high a learning rate" in finished.err
    assert "Traceback" not in finished.err


@pytest.mark.parametrize(
    "experiment", sorted(path.stem for path in (TESTS.parent / "configs" / "experiment").glob("*.yaml"))
)
def test_every_experiment_runs_for_one_batch(train: Command, tmp_path: Path, experiment: str) -> None:
    """On the generated data, on the CPU; a sweep's experiment as its first job."""
    finished = train(
        f"experiment={experiment}",
        "hydra.mode=RUN",
        "important_class=1",
        "data.batch_size=8",
        "data.image_size=32",
        "trainer.limit_train_batches=1",
        "trainer.limit_val_batches=2",
        "trainer.limit_test_batches=2",
        "trainer.check_val_every_n_epoch=1",
        "trainer.devices=1",
        "model.pretrained=false",
        "model.compile=false",
        "trainer.precision=32-true",
    )
    assert finished.code == 0, finished.err
    assert result_of(tmp_path / "run")["status"] == "finished"


def test_two_processes_count_every_test_image_once(train: Command, tmp_path: Path) -> None:
    """DDP on two CPU processes, from the same checkpoint as one process, gives the same test metrics."""
    assert train("data.batch_size=16", "trainer.max_epochs=2").code == 0
    run = tmp_path / "run"
    single = np.load(run / "predictions.npz")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS.parent)}
    test_again = subprocess.run(
        [sys.executable, str(TESTS / "helpers" / "evaluate_with_ddp.py"), str(run)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert test_again.returncode == 0, test_again.stderr[-3000:]
    double = np.load(run / "ddp.npz")
    assert len(double["test_target"]) % 2 == 1, "an odd split, or the sampler's padding would not show"
    np.testing.assert_array_equal(single["test_target"], double["test_target"])
    np.testing.assert_allclose(single["test_scores"], double["test_scores"], atol=1e-6)
    assert json.loads((run / "ddp.json").read_text()) == pytest.approx(
        {key: value for key, value in result_of(run)["test"].items() if key != "recall"}, abs=1e-6
    )


def test_ddp_trains_from_the_command_line(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "camri_exp.train", "trainer=ddp_cpu", *QUICK, f"hydra.run.dir={tmp_path / 'run'}"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert finished.stdout.count("results:") == 1
    result = result_of(tmp_path / "run")
    with np.load(tmp_path / "run" / "predictions.npz") as arrays:
        assert result["test"]["accuracy"] == pytest.approx(
            (arrays["test_scores"].argmax(1) == arrays["test_target"]).mean()
        )


@pytest.mark.realdata
def test_gtsrb_trains_on_the_official_test_images(train: Command, tmp_path: Path) -> None:
    finished = train("experiment=gtsrb_cpu", "important_class=14", data="gtsrb")
    assert finished.code == 0, finished.err
    result = result_of(tmp_path / "run")
    assert result["important_class_names"] == ["Stop"]
    with np.load(tmp_path / "run" / "predictions.npz") as arrays:
        assert arrays["test_scores"].shape == (12_630, 43)
    assert result["test"]["accuracy"] > 0.6  # one epoch of a small network; chance is 0.06
