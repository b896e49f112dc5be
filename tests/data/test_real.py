"""The real data sets: their counts, and splits that are the same on every machine."""

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camri_exp.data.awa2 import AwA2DataModule
from camri_exp.data.cifar10 import CIFAR10DataModule
from camri_exp.data.gtsrb import GTSRBDataModule

pytestmark = pytest.mark.realdata
SPLITS = ("train", "val", "test")
CIFAR10_SPLIT = "7b0dd922330899d0"
GTSRB_SPLIT = {"official": "9b2d2729ef79fef1", "torchvision": "57e2fc604379a728"}


def ready(data: Any) -> Any:
    data.prepare_data()
    data.setup()
    return data


def split_hash(data: Any) -> str:
    """A hash of names and classes of the images of every split, in any order."""
    lines = [
        f"{split} {label} {name}"
        for split in SPLITS
        for name, label in zip(data.names(split), data.splits[split].target.tolist(), strict=True)
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def test_cifar10(real_data: Path) -> None:
    data = ready(CIFAR10DataModule(str(real_data)))
    assert data.class_counts == [4500] * 10
    assert np.bincount(data.splits["val"].target).tolist() == [500] * 10
    assert np.bincount(data.splits["test"].target).tolist() == [1000] * 10
    assert split_hash(data) == CIFAR10_SPLIT


@pytest.mark.slow
def test_cifar10_is_what_torchvision_reads(real_data: Path) -> None:
    from torchvision.datasets import CIFAR10

    data, original = ready(CIFAR10DataModule(str(real_data))), CIFAR10(str(real_data), train=False)
    np.testing.assert_array_equal(data.images("test").numpy(), original.data.transpose(0, 3, 1, 2))
    assert data.splits["test"].target.tolist() == original.targets


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "training"), [("official", 39_209), ("torchvision", 26_640)])
def test_gtsrb(real_data: Path, variant: str, training: int, capsys: pytest.CaptureFixture[str]) -> None:
    data = ready(GTSRBDataModule(str(real_data), variant=variant))
    assert data.length("train") + data.length("val") == training
    assert data.length("test") == 12_630
    tracks = {split: set(data.groups(split)) for split in ("train", "val")}
    assert not tracks["train"] & tracks["val"]
    assert set(Counter(data.groups("train")).values()) <= {29, 30}  # one sign lacks its last frame
    assert len(set(data.names("train")) | set(data.names("val")) | set(data.names("test"))) == training + 12_630
    assert split_hash(data) == GTSRB_SPLIT[variant]
    assert "8 test images are training images too" in capsys.readouterr().err or variant == "torchvision"


def test_calibration_signs_of_gtsrb_are_taken_from_training(real_data: Path) -> None:
    before, data = (
        ready(GTSRBDataModule(str(real_data))),
        ready(GTSRBDataModule(str(real_data), calibration_fraction=0.2)),
    )
    for split in ("val", "test"):
        assert data.names(split) == before.names(split)
    held = {name for split in ("train", "calibration") for name in data.names(split)}
    assert held == set(before.names("train"))
    assert not set(data.groups("train")) & set(data.groups("calibration"))
    assert len(np.unique(data.splits["calibration"].target)) == 43


def test_gtsrb_without_the_leaked_images(real_data: Path) -> None:
    data = ready(GTSRBDataModule(str(real_data), drop_leaked=True))
    assert data.length("test") == 12_622


def test_the_awa2_sample_loads(real_data: Path) -> None:
    """One image per class: no split has all classes, but every image is read."""
    data = AwA2DataModule(str(real_data))
    splits = data.load()
    assert len(data.class_names) == 50
    assert sum(len(split.target) for split in splits.values()) == 50
    assert os.fspath(data.folder).endswith("Animals_with_Attributes2")
