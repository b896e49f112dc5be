"""Images that are in training and evaluation, or that carry two labels."""

import shutil
from pathlib import Path

import pytest
import torch

from camri_exp.data.copies import NAMED
from camri_exp.data.folder import FolderDataModule
from tests.helpers.image_files import class_folders, split_folders
from tests.helpers.tiny import TinyDataModule


def loaded(root: Path, **settings: bool) -> FolderDataModule:
    data = FolderDataModule(str(root), image_size=8, **settings)
    data.setup()
    return data


def test_no_copies_say_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded(class_folders(tmp_path))
    TinyDataModule(image_size=8).setup()
    assert capsys.readouterr().err == ""


def test_evaluation_images_that_are_training_images_are_counted_and_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = split_folders(tmp_path)
    for source, copy in (("train/cat/0", "test/cat/a"), ("train/dog/0", "val/dog/b"), ("train/dog/0", "test/dog/c")):
        shutil.copy(root / f"{source}.png", root / f"{copy}.png")
    data = loaded(root)
    assert [data.length(split) for split in ("train", "val", "test")] == [12, 7, 8]
    line = (
        "1 validation images are training images too (b.png) and 2 test images are training images too (a.png, c.png): "
    )
    assert capsys.readouterr().err == f"{line}kept; data.drop_leaked=true drops them.\n"
    without = loaded(root, drop_leaked=True)
    assert capsys.readouterr().err == f"{line}dropped.\n"
    assert [without.length(split) for split in ("train", "val", "test")] == [12, 6, 6]
    assert not {"test/cat/a.png", "test/dog/c.png"} & set(without.names("test"))
    assert without.fingerprint != data.fingerprint


def test_a_copy_in_another_format_is_the_same_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    root = split_folders(tmp_path)
    Image.open(root / "val" / "cat" / "0.png").save(root / "test" / "cat" / "again.bmp")
    loaded(root)
    assert "1 test images are training or validation images too (again.bmp): kept" in capsys.readouterr().err


def test_images_with_two_labels_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = split_folders(tmp_path)
    shutil.copy(root / "train" / "cat" / "1.png", root / "train" / "dog" / "also a cat.png")
    loaded(root)
    assert capsys.readouterr().err == "2 images have two labels (1.png, also a cat.png).\n"


def test_many_copies_are_named_in_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = split_folders(tmp_path, splits={"train": 20, "val": 2, "test": 2})
    shutil.rmtree(root / "test")
    shutil.copytree(root / "train", root / "test")
    loaded(root)
    line = capsys.readouterr().err
    assert line.startswith("40 test images are training images too (0.png, ")
    assert line.count(".png") == NAMED
    assert ", … (40)): kept" in line


def test_the_fingerprint_is_that_of_the_test_images(tmp_path: Path) -> None:
    root = split_folders(tmp_path / "a")
    first = loaded(root).fingerprint
    shutil.copytree(root, tmp_path / "b", ignore=shutil.ignore_patterns(".camri_cache"))
    assert loaded(tmp_path / "b").fingerprint == first
    smaller = FolderDataModule(str(root), image_size=4, channels=1)
    smaller.setup()
    assert smaller.fingerprint == first
    shutil.copy(root / "train" / "cat" / "1.png", root / "train" / "cat" / "another.png")
    assert loaded(root).fingerprint == first
    shutil.copy(root / "train" / "cat" / "1.png", root / "test" / "cat" / "0.png")
    assert loaded(root).fingerprint != first


def test_all_splits_together_have_the_images_of_each(tmp_path: Path) -> None:
    """Whether the splits are views of one table, as of files, or have a table each."""
    for data in (loaded(split_folders(tmp_path)), TinyDataModule(image_size=8)):
        data.setup()
        data.join_splits()
        splits = ("train", "val", "test")
        assert data.names("all") == [name for split in splits for name in data.names(split)]
        assert torch.equal(data.images("all"), torch.cat([data.images(split) for split in splits]))
        assert data.splits["all"].target.tolist() == [k for split in splits for k in data.splits[split].target.tolist()]
