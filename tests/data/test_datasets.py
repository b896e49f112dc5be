"""Each data set on generated images in its layout, and what all data sets have in common."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from camri_exp.cli import CONFIGS
from camri_exp.data.awa2 import AwA2DataModule
from camri_exp.data.base import ImageDataModule
from camri_exp.data.csv_list import LabelledFile, read_csv
from camri_exp.data.decode import decode_image
from camri_exp.data.digits import DigitsDataModule
from camri_exp.data.factory import build_datamodule
from camri_exp.data.folder import FolderDataModule, with_splits
from camri_exp.data.gtsrb import TEST_CLASSES, GTSRBDataModule
from camri_exp.data.preprocessing import Preprocessing
from camri_exp.data.splits import HashRule
from camri_exp.errors import UserError
from tests.helpers import image_files

SPLITS = ("train", "val", "test")


def ready(data: ImageDataModule) -> Any:
    data.prepare_data()
    data.setup()
    return data


def made(kind: str, root: Path, **settings: Any) -> Any:
    if kind == "digits":
        return ready(DigitsDataModule(image_size=8, **settings))
    if kind == "gtsrb":
        return ready(GTSRBDataModule(str(image_files.gtsrb(root, classes=43, tracks=2, frames=2)), **settings))
    if kind == "awa2":
        return ready(AwA2DataModule(str(image_files.awa2(root)), image_size=16, **settings))
    return ready(FolderDataModule(str(image_files.class_folders(root)), image_size=10, **settings))


@pytest.mark.parametrize("kind", ["digits", "gtsrb", "awa2", "folder"])
def test_no_image_is_in_two_splits_and_counts_are_right(kind: str, tmp_path: Path) -> None:
    data = made(kind, tmp_path)
    names = [name for split in SPLITS for name in data.names(split)]
    assert len(set(names)) == len(names)
    for split in SPLITS:
        assert data.length(split) == len(data.names(split)) == len(data.images(split)) > 0
    assert data.class_counts == np.bincount(data.splits["train"].target, minlength=len(data.class_names)).tolist()


@pytest.mark.parametrize("kind", ["digits", "gtsrb", "awa2", "folder"])
def test_mean_and_deviation_are_those_of_the_training_images(kind: str, tmp_path: Path) -> None:
    data = made(kind, tmp_path)
    pixels = data.images("train").numpy() / 255
    np.testing.assert_allclose(data.mean, pixels.mean((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(data.std, pixels.std((0, 2, 3)), atol=1e-6)


@pytest.mark.parametrize("config", sorted((CONFIGS / "data").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_order_follows_from_the_seed_of_the_run(config: Path) -> None:
    data = OmegaConf.load(config)
    data.root = "anywhere"
    for seed in (0, 7):
        assert build_datamodule(OmegaConf.create({"data": data, "seed": seed})).seed == seed


def test_the_digits_are_split_alike_everywhere() -> None:
    data = made("digits", Path())
    assert [data.length(split) for split in SPLITS] == [1257, 180, 360]
    names = "\n".join(f"{split} {name}" for split in SPLITS for name in sorted(data.names(split)))
    assert hashlib.sha256(names.encode()).hexdigest()[:16] == "c6e5235420632f7d"


def test_setup_again_is_the_same_for_every_stage(tmp_path: Path) -> None:
    data = made("folder", tmp_path)
    before = data.splits
    data.setup("test")
    assert data.splits is before


def test_gtsrb_keeps_tracks_together(tmp_path: Path) -> None:
    data = made("gtsrb", tmp_path)
    tracks = {split: set(data.groups(split)) for split in ("train", "val")}
    assert not tracks["train"] & tracks["val"]
    assert len(tracks["val"]) == 43
    assert set(Counter(data.groups("val")).values()) == {2}
    assert data.groups("test") is None


def test_gtsrb_validates_on_more_or_on_other_signs(tmp_path: Path) -> None:
    root = str(image_files.gtsrb(tmp_path, classes=43, tracks=8, frames=1))

    def signs(**settings: Any) -> set[str]:
        data = ready(GTSRBDataModule(root, **settings))
        assert set(data.groups("val") or ()).isdisjoint(data.groups("train") or ())
        return set(data.groups("val") or ())

    assert (len(signs()), len(signs(val_fraction=0.25))) == (43, 86)
    assert signs() < signs(val_fraction=0.25)
    assert signs(split_seed=0) == signs() != signs(split_seed=1)
    with pytest.raises(ValueError, match=r"val_fraction=1; expected a fraction of the signs above 0 and below 1"):
        GTSRBDataModule(root, val_fraction=1)


def test_gtsrb_images_labels_and_names_belong_together(tmp_path: Path) -> None:
    data = made("gtsrb", tmp_path)
    for split in SPLITS:
        name, image, target = data.names(split)[1], data.images(split, [1])[0], int(data.splits[split].target[1])
        np.testing.assert_array_equal(image.numpy(), decode_image(tmp_path / "gtsrb" / name, Preprocessing(32)))
        if split != "test":
            assert f"/{target:05}/" in name


def test_gtsrb_names_the_test_images_that_training_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = made("gtsrb", tmp_path)
    assert (
        "1 test images are training or validation images too (00000.ppm): kept, as in published"
        in capsys.readouterr().err
    )
    without = ready(GTSRBDataModule(str(tmp_path), drop_leaked=True))
    assert without.length("test") == data.length("test") - 1
    assert not any(name.endswith("/00000.ppm") for name in without.names("test"))


def test_incomplete_gtsrb_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made("gtsrb", tmp_path)
    printed = capsys.readouterr().err
    assert "GTSRB (official) has 39209 training and 12630 test images" in printed
    assert "has 172 and 86. Results will not be comparable with published ones." in printed


def test_gtsrb_with_another_list_of_test_classes(tmp_path: Path) -> None:
    image_files.gtsrb(tmp_path)
    (tmp_path / "gtsrb" / TEST_CLASSES).write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="is not the official list of test classes"):
        ready(GTSRBDataModule(str(tmp_path)))


def test_awa2_splits_by_the_published_rule(tmp_path: Path) -> None:
    data = made("awa2", tmp_path)
    for split in SPLITS:
        assert {HashRule()(Path(name).name) for name in data.names(split)} == {split}
    assert data.class_names == ["antelope", "grizzly+bear"]


def test_awa2_without_a_folder_of_a_class(tmp_path: Path) -> None:
    root = image_files.awa2(tmp_path)
    with open(root / "Animals_with_Attributes2" / "classes.txt", "a") as file:
        file.write("     3\tyeti\n")
    with pytest.raises(UserError, match="lacks the folders of yeti"):
        ready(AwA2DataModule(str(root)))


def test_a_folder_of_splits(tmp_path: Path) -> None:
    data = ready(FolderDataModule(str(image_files.split_folders(tmp_path)), image_size=8))
    assert [data.length(split) for split in SPLITS] == [12, 6, 6]
    assert all(name.startswith("val/") for name in data.names("val"))


def test_a_folder_with_train_and_test_takes_validation_from_train(tmp_path: Path) -> None:
    root = image_files.split_folders(tmp_path, splits={"train": 40, "test": 3})
    data = ready(FolderDataModule(str(root), image_size=8))
    assert data.length("test") == 6
    assert data.length("train") + data.length("val") == 80
    assert 0 < data.length("val") < 30


def test_ignored_folders_next_to_train_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = image_files.split_folders(tmp_path, splits={"train": 40, "valid": 3, "test": 3})
    ready(FolderDataModule(str(root), image_size=8))
    assert (
        f"{root}: ignored valid next to train/; only val/, calibration/ and test/ are read." in capsys.readouterr().err
    )


def test_rows_without_a_split_get_one_by_hash_and_others_keep_theirs() -> None:
    rows = [LabelledFile(f"{i}.png", "cat", "train" if i < 100 else "val" if i < 110 else None) for i in range(1000)]
    files = with_splits(rows, HashRule())
    assert all(file.split == "train" for file in files[:100])
    assert all(file.split == "val" for file in files[100:110])
    assert all(file.split == HashRule()(file.path) for file in files[110:])


def test_an_image_keeps_its_split_when_others_are_added_or_removed(tmp_path: Path) -> None:
    data = made("folder", tmp_path)
    before = {name: split for split in SPLITS for name in data.names(split)}
    for name in list(before)[::7]:
        (tmp_path / name).unlink()
    image_files.image_file(tmp_path / "cat" / "new.png")
    after = ready(FolderDataModule(str(tmp_path), image_size=10))
    assert all(before[name] == split for split in SPLITS for name in after.names(split) if name != "cat/new.png")


def test_a_csv(tmp_path: Path) -> None:
    image_files.class_folders(tmp_path, count=5)
    rows = [
        f"{name}/{i:03}.png,{name},{split}"
        for name in ("cat", "dog")
        for i, split in enumerate(("train", "train", "train", "val", "test"))
    ]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    data = ready(FolderDataModule(str(tmp_path / "list.csv"), image_size=8))
    assert [data.length(split) for split in SPLITS] == [6, 2, 2]
    assert data.names("val") == ["cat/003.png", "dog/003.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,weight\na.png,cat,1\n", "has the columns path, label, weight; expected path,label"),
        ("file,label\na.png,cat\n", "has the columns file, label; expected path,label"),
        ("", r"has the columns \(none\)"),
        (
            "path,label,split\na.png,cat,tset\n",
            "line 2: split is 'tset'; expected train, val, calibration, test or an empty",
        ),
        ("path,label\na.png,\n", "line 2: an image needs a path and a label"),
        ("path,label\na.png,cat\na.png,dog\n", "lists a.png 2 times"),
        ("path,label\na.png,cat\n./a.png,dog\n", "lists a.png 2 times"),
        ("path,label\nb,a.png,cat\n", "line 2: more than 2 values. Quote a path with commas"),
        ("path,label,split\nnone.png,cat,train\nnothing.png,dog,train\n", "none.png cannot be read: No such file"),
    ],
)
def test_an_invalid_csv_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        ready(FolderDataModule(str(tmp_path / "list.csv"), image_size=8))


def test_paths_of_a_csv_are_normalised_and_blanks_after_commas_ignored(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"path, label\n./cat//0.png, cat\n{tmp_path}/dog/1.png, dog\n../2.png, dog\n")
    listed = read_csv(tmp_path / "list.csv")
    assert [(file.path, file.label) for file in listed] == [
        ("cat/0.png", "cat"), ("dog/1.png", "dog"), ("../2.png", "dog")
    ]  # fmt: skip


def test_a_file_that_is_not_a_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0\.png is neither a folder nor a CSV file in UTF-8: "):
        ready(FolderDataModule(str(image_files.image_file(tmp_path / "0.png"))))


@pytest.mark.parametrize("kind", ["awa2", "folder"])
def test_on_error_is_stop_or_skip(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.on_error=ignore; expected stop or skip"):
        made(kind, tmp_path, on_error="ignore")


def test_an_empty_class_folder(tmp_path: Path) -> None:
    (image_files.class_folders(tmp_path) / "mouse").mkdir()
    with pytest.raises(UserError, match=r"mouse contains no images\. Remove the folder, or add images"):
        ready(FolderDataModule(str(tmp_path), image_size=8))


def test_a_class_in_test_that_training_lacks(tmp_path: Path) -> None:
    image_files.image_file(image_files.split_folders(tmp_path) / "test" / "mouse" / "0.png")
    with pytest.raises(UserError, match="test has the class 'mouse', which has no training images"):
        ready(FolderDataModule(str(tmp_path), image_size=8))


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has 1 class; expected at least two"):
        ready(FolderDataModule(str(image_files.class_folders(tmp_path, classes=("cat",))), image_size=8))


def test_corrupt_image_files_are_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = image_files.split_folders(tmp_path)
    (root / "train" / "cat" / "1.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(UserError, match=r"1 of 24 image files cannot be used: .*train/cat/1\.png"):
        ready(FolderDataModule(str(root), image_size=8))
    data = ready(FolderDataModule(str(root), image_size=8, on_error="skip"))
    assert data.length("train") == 11
    assert "train/cat/1.png" not in data.names("train")
    assert "1 of 24 image files cannot be used" in capsys.readouterr().err


def test_numbered_classes_are_sorted_by_value(tmp_path: Path) -> None:
    data = ready(FolderDataModule(str(image_files.class_folders(tmp_path, classes=("10", "9", "2"))), image_size=8))
    assert data.class_names == ["2", "9", "10"]


def test_grey_images(tmp_path: Path) -> None:
    data = made("folder", tmp_path, channels=1)
    assert data.channels == 1
    assert data.images("val").shape[1:] == (1, 10, 10)


def test_imbalance_changes_training_only(tmp_path: Path) -> None:
    data = made("folder", tmp_path)
    fewer = ready(
        FolderDataModule(str(tmp_path), image_size=10, imbalance={"profile": "class", "class_name": "dog", "ratio": 10})
    )
    assert fewer.class_counts[0] == data.class_counts[0]
    assert fewer.class_counts[1] == round(data.class_counts[1] / 10)
    assert fewer.names("val") == data.names("val")
    assert fewer.names("test") == data.names("test")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cuda"}, "expected auto or cpu"),
        ({"batch_size": 0}, "expected at least 1"),
        ({"image_size": 16}, "image_size=16; the digits have 8 x 8 pixels"),
        ({"imbalance": {"profile": "step", "ratio": 2, "sed": 1}}, "imbalance: .*'sed'.*; expected profile, ratio and"),
        ({"imbalance": {"profile": "step"}}, "imbalance: missing a required argument: 'ratio'"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DigitsDataModule(**settings)


def test_the_fractions_of_the_splits(tmp_path: Path) -> None:
    """With the default fractions the splits are those of the first version, which other tests check by their hash."""
    digits = ready(DigitsDataModule(test_fraction=0.3, val_fraction=0.2, calibration_fraction=0.1))
    assert {split: digits.length(split) for split in digits.splits} == {
        "train": 717, "test": 540, "val": 360, "calibration": 180
    }  # fmt: skip
    assert max(np.abs(np.bincount(digits.splits["calibration"].target) - 18)) <= 1
    root = image_files.class_folders(tmp_path, count=100)
    data = ready(FolderDataModule(str(root), image_size=8, test_fraction=0.4, val_fraction=0.3))
    rule = HashRule(test=0.4, val=0.3)
    assert all(rule(name) == split for split in SPLITS for name in data.names(split))


@pytest.mark.parametrize("kind", ["digits", "awa2", "folder"])
def test_every_image_is_tested_in_exactly_one_fold(kind: str, tmp_path: Path) -> None:
    made(kind, tmp_path)
    tested: list[str] = []
    for fold in range(3):
        data = made(kind, tmp_path, folds=3, fold=fold)
        tested += data.names("test")
        everything = [name for split in SPLITS for name in data.names(split)]
        assert len(set(everything)) == len(everything)
    assert sorted(tested) == sorted(everything)


def test_folds_need_images_without_a_split(tmp_path: Path) -> None:
    root = image_files.split_folders(tmp_path)
    with pytest.raises(UserError, match=r"folds=3: val/cat/0\.png has the split val; a cross-validation needs images"):
        ready(FolderDataModule(str(root), image_size=8, folds=3))
