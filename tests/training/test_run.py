"""One run: what it leaves on disk, that it is reproducible, and that every experiment runs."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, precision_score, recall_score

from tests.conftest import TESTS, Command
from tests.helpers.results import metrics_of, result_of


def test_a_run_leaves_all_that_the_design_promises(train: Command, tmp_path: Path) -> None:
    finished = train("loss=camri", "logger=csv", "trainer.max_epochs=2")
    assert finished.code == 0, finished.err
    run = tmp_path / "run"
    left = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.name != ".claim"}
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
        assert set(result[split]) == {
            *("accuracy", "recall_important", "precision_important", "macro_recall", "recall", "recall_rare"),
        }
        assert list(result[split]["recall"]) == result["class_names"]


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


def test_checkpoints_hold_weights_and_plain_values_only(train: Command, tmp_path: Path) -> None:
    assert train().code == 0
    for name in ("best", "last"):
        checkpoint = torch.load(tmp_path / "run" / "checkpoints" / f"{name}.ckpt", weights_only=True)
        about = checkpoint["camri_exp"]
        assert about["class_names"] == result_of(tmp_path / "run")["class_names"]
        assert about["important_class"] == [1]


def test_the_same_seed_gives_the_same_numbers_bit_for_bit(train: Command, tmp_path: Path) -> None:
    for into, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert train(f"seed={seed}", "trainer.max_epochs=2", into=into).code == 0
    assert metrics_of(tmp_path / "a") == metrics_of(tmp_path / "b")
    scores = [np.load(tmp_path / name / "predictions.npz")["test_scores"] for name in "abc"]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])
    assert result_of(tmp_path / "a")["config_hash"] == result_of(tmp_path / "b")["config_hash"]
    assert result_of(tmp_path / "a")["config_hash"] != result_of(tmp_path / "c")["config_hash"]


def test_frozen_epochs_train_the_head_only(train: Command, tmp_path: Path) -> None:
    weights = {}
    for name, frozen, epochs in (("one", 1, 1), ("two", 2, 2), ("thawed", 1, 2)):
        assert train(f"model.freeze_epochs={frozen}", f"trainer.max_epochs={epochs}", into=name).code == 0
        weights[name] = torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]

    def differing(a: str, b: str) -> set[str]:
        return {key.split(".")[0] for key, value in weights[a].items() if not torch.equal(value, weights[b][key])}

    assert differing("one", "two") == {"head"}, "batch norm's statistics stay as well"
    assert differing("one", "thawed") == {"backbone", "head"}


def test_batch_norms_learn_again_after_the_frozen_epochs(train: Command, tmp_path: Path) -> None:
    """Lightning sets the training mode once: a backbone in evaluation mode would stay in it to the end."""
    counts = []
    for epochs in (1, 3):
        overrides = ("model.freeze_epochs=1", f"trainer.max_epochs={epochs}", "data.batch_size=64")
        assert train(*overrides, into=str(epochs)).code == 0
        state = torch.load(tmp_path / str(epochs) / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        counts.append({int(value) for key, value in state.items() if key.endswith("num_batches_tracked")})
    assert counts == [{0}, {4}]  # two batches in each of two epochs


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 8])
def test_runs_of_few_steps_learn(train: Command, tmp_path: Path, steps: int) -> None:
    """Of the default schedule: torch's divides by zero at four steps, and trains one step at a rate of 1e-8."""
    finished = train(f"trainer.max_epochs={steps}", "trainer.limit_train_batches=1")
    assert finished.code == 0, finished.err
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        rates = [float(row["train/lr"]) for row in csv.DictReader(file)]
    assert len(rates) == steps
    assert max(rates) >= 1e-3
    assert all(np.isfinite(rates))


def test_a_batch_of_one_image_ends_in_one_line(train: Command) -> None:
    finished = train("data.batch_size=1", "model.name=resnet18", "data.image_size=16")
    assert finished.code == 1
    assert "a training batch of one image is too small for the batch norms" in finished.err.splitlines()[-1]
    assert "Traceback" not in finished.err


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
        "model.frozen=false",  # features need weights
        "model.compile=false",
        "trainer.precision=32-true",
    )
    assert finished.code == 0, finished.err
    assert result_of(tmp_path / "run")["status"] == "finished"
