"""Calibration images: they neither train nor choose anything, and their predictions are kept."""

from pathlib import Path

import numpy as np
import pytest

from camri_exp.errors import UserError
from camri_exp.evaluation.predictions import from_checkpoint
from camri_exp.results import RunResult
from tests.conftest import TRUST, Command
from tests.helpers.image_files import class_folders


def test_predictions_of_calibration_images_are_kept(train: Command, command: Command, tmp_path: Path) -> None:
    assert train("data.calibration_fraction=0.2", into="with").code == 0
    run = tmp_path / "with"
    arrays = np.load(run / "predictions.npz")
    assert arrays["calibration_target"].tolist() == [i % 6 for i in range(35)]
    assert arrays["calibration_name"].tolist() == [f"calibration {i}" for i in range(35)]
    hits = arrays["calibration_scores"].argmax(1) == arrays["calibration_target"]
    result = RunResult.of(run)
    assert result.metrics("calibration").accuracy == pytest.approx(hits.mean())

    computed = from_checkpoint(run / "checkpoints" / "best.ckpt", "calibration", trusted=[TRUST.partition("=")[2]])
    np.testing.assert_allclose(computed.splits["calibration"].scores, arrays["calibration_scores"], atol=1e-5)
    evaluated = command("evaluate", f"run={run}", "split=calibration", "figures=false", TRUST)
    assert "35 calibration images" in evaluated.out, evaluated.err


def test_other_images_give_the_same_numbers_with_and_without_calibration_images(train: Command, tmp_path: Path) -> None:
    train("data.calibration_fraction=0.2", into="with")
    train(into="without")
    one, other = (np.load(tmp_path / name / "predictions.npz") for name in ("with", "without"))
    assert "calibration_scores" not in other
    for key in other:
        np.testing.assert_array_equal(one[key], other[key])


def test_a_run_without_calibration_images_says_how_to_get_them(
    train: Command, command: Command, tmp_path: Path
) -> None:
    train()
    for source in (f"run={tmp_path}/run", f"checkpoint={tmp_path}/run/checkpoints/best.ckpt"):
        refused = command("evaluate", source, "split=calibration", TRUST)
        assert refused.code == 1
        assert "A run has one where it was trained with data.calibration_fraction=0.1" in refused.err
    with pytest.raises(UserError, match=r"has no calibration split\. Train one with data\.calibration_fraction=0\.1"):
        RunResult.of(tmp_path / "run").metrics("calibration")


def test_groups_of_a_folder_reach_the_predictions(train: Command, tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", count=40)
    settings = ("data.image_size=8", "important_class=cat", "data.calibration_fraction=0.2", r"data.groups='/(\d+)'")
    done = train(f"data.root={root}", *settings, data="folder")
    assert done.code == 0, done.err
    arrays = np.load(tmp_path / "run" / "predictions.npz")
    groups = {split: set(arrays[f"{split}_group"]) for split in ("val", "calibration", "test")}
    assert all(groups.values())
    assert not groups["val"] & groups["calibration"]
    assert arrays["test_group"].tolist() == [name.split("/")[1][:3] for name in arrays["test_name"]]
