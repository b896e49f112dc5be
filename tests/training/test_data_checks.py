"""Data that changed under a run, and important classes that a split lacks."""

import dataclasses
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from camri_exp.data.folder import FolderDataModule
from camri_exp.errors import UserError
from camri_exp.models.metadata import ModelMetadata
from camri_exp.training.data_checks import check_same_data, report_important_classes
from tests.conftest import QUICK, Command
from tests.helpers.image_files import image_file, split_folders
from tests.helpers.results import result_of

SMALL = (*QUICK, "data=folder", "data.image_size=8", "model=camri_cnn", "model.width=0.125", "important_class=cat")


def metadata(data: FolderDataModule) -> ModelMetadata:
    return ModelMetadata(
        data="folder", loss="ce", model="m", class_names=data.class_names, class_counts=data.class_counts,
        important_class=[0], channels=3, image_size=8, mean=list(data.mean), std=list(data.std),
    )  # fmt: skip


def loaded(root: Path) -> FolderDataModule:
    data = FolderDataModule(str(root), image_size=8)
    data.setup()
    return data


def test_another_number_of_images_or_other_pixels_are_other_data(tmp_path: Path) -> None:
    root = split_folders(tmp_path)
    before = metadata(loaded(root))
    check_same_data(before, metadata(loaded(root)), "RUN")
    (root / "train" / "cat" / "0.png").rename(root / "train" / "dog" / "moved.png")
    with pytest.raises(UserError, match=r"resume=RUN: .*\(other numbers of training images per class\)"):
        check_same_data(before, metadata(loaded(root)), "RUN")
    (root / "train" / "dog" / "moved.png").rename(root / "train" / "cat" / "0.png")
    image_file(root / "train" / "cat" / "0.png", seed=12345)
    with pytest.raises(UserError, match=r"\(other pixels: their mean or standard deviation changed\)"):
        check_same_data(before, metadata(loaded(root)), "RUN")
    check_same_data(before, dataclasses.replace(before, mean=[value + 1e-9 for value in before.mean]), "RUN")


def test_a_run_is_not_resumed_with_other_training_images(tmp_path: Path, command: Command) -> None:
    root, run = split_folders(tmp_path / "data"), tmp_path / "run"
    first = command("train", *SMALL, f"data.root={root}", f"hydra.run.dir={run}")
    assert first.code == 0, first.err
    fingerprint = result_of(run)["data_fingerprint"]
    assert fingerprint == loaded(root).fingerprint
    image_file(root / "train" / "cat" / "new.png", seed=777)
    resumed = command("train", f"resume={run}", "trainer.max_epochs=2")
    assert resumed.code == 1
    assert "the data changed since the run was started (12 training images then, 13 now)" in resumed.err
    assert len(resumed.err.splitlines()) <= 2


def test_the_images_of_an_important_class_are_counted_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = split_folders(tmp_path, splits={"train": 6, "val": 10, "test": 16})
    data = loaded(root)
    capsys.readouterr()
    report_important_classes(data, metadata(data))
    expected = (
        "'cat': 6 training, 10 validation, 16 test images; its recall will be known to about ±31 pp on validation"
    )
    assert capsys.readouterr().err == f"{expected} and ±24 pp on test.\n"
    data.splits["test"] = replace(data.splits["test"], groups=["a", "b", "c", "d"] * 8)
    report_important_classes(data, metadata(data))
    assert (
        "16 (4) test images (groups); its recall will be known to about ±31 pp on validation and ±49 pp on test."
        in (capsys.readouterr().err)
    )


def test_an_important_class_that_a_split_lacks_is_reported_before_training(
    tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    root, run = split_folders(tmp_path / "data"), tmp_path / "run"
    shutil.rmtree(root / "val" / "cat")
    shutil.rmtree(root / "test" / "cat")
    data = loaded(root)
    report_important_classes(data, metadata(data))
    counts, first, second = capsys.readouterr().err.splitlines()
    assert counts == "'cat': 6 training, 0 validation, 0 test images."
    assert first.startswith("the validation split has no image of the important class 'cat': the checkpoint and")
    assert second == "the test split has no image of the important class 'cat': its recall cannot be reported."
    trained = command("train", *SMALL, f"data.root={root}", f"hydra.run.dir={run}")
    assert first in trained.err
    checkpoint = f"checkpoint={run}/checkpoints/best.ckpt"
    exported = command("export", checkpoint, "output=model.pt2", "format=torch")
    assert exported.code == 0, exported.err
    assert "+0 because no threshold could be chosen: the validation split of" in exported.out
    predicted = command("predict", checkpoint, f"images={root}/train", "bias=auto")
    assert predicted.code == 1
    assert "has no image of cat. Give a number: bias=NUMBER" in predicted.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("loss=camri", "data.mixup=0.2"), "which loss=camri does not take. Use 0 for both, or one of "),
        (("loss=focal", "data.cutmix=1.0"), "which loss=focal does not take. Use 0 for both, or one of "),
    ],
)
def test_mixed_images_need_a_loss_that_takes_soft_targets(train, overrides, message):
    finished = train("data.augment=true", *overrides)
    assert finished.code == 1
    error = finished.err.splitlines()[-1]
    assert message in error
    assert "ce, class_balanced" in error
    assert "Traceback" not in finished.err


def test_mixed_images_train_and_are_not_evaluated(train, tmp_path):
    mixed = ("data.augment=true", "data.mixup=0.2", "data.cutmix=1.0", "loss=ce")
    finished = train(*mixed)
    assert finished.code == 0, finished.err
    assert np.load(tmp_path / "run" / "predictions.npz")["test_scores"].shape == (41, 6)
