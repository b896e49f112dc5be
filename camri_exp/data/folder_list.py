"""The image files of a folder of classes, with the class and the split that the folders give them."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from camri_exp.data.csv_list import LabelledFile
from camri_exp.data.image_walk import LeftOut, is_foreign, walk_images
from camri_exp.data.splits import SPLITS
from camri_exp.errors import UserError
from camri_exp.text import printable


def list_folder(root: Path) -> list[LabelledFile]:
    """The image files of a folder of classes, or of such folders in train, val, calibration and test.

    Raises:
        UserError: no class folders, one without images or that cannot be read, or a link to another class.
    """
    splits = [split for split in SPLITS if (root / split).is_dir()]
    if "train" in splits or set(splits) == set(_subfolders(root)) != set():
        if ignored := [name for name in _subfolders(root) if name not in SPLITS]:
            names = ", ".join(ignored)
            print(
                f"{root}: ignored {names} next to train/; only val/, calibration/ and test/ are read.", file=sys.stderr
            )
        tops: dict[str, str | None] = {f"{split}/": split for split in splits}
    else:
        tops = {"": None}
    classes = {f"{top}{name}": (name, split) for top, split in tops.items() for name in _class_folders(root / top)}
    real = {folder: Path(os.path.realpath(root / folder)) for folder in classes}
    left_out = LeftOut()
    files = [
        LabelledFile(path, label, split)
        for folder, (label, split) in classes.items()
        for path in _images_of_class(root, folder, real, left_out)
    ]
    if left_out:
        print(printable(f"{root}: left out {left_out}."), file=sys.stderr)
    return files


def _class_folders(folder: Path) -> list[str]:
    if not (names := _subfolders(folder)):
        raise UserError(
            f"{folder} contains no folders of images. Expected one folder per class, or train/, val/ and test/."
        )
    return names


def _subfolders(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not is_foreign(entry.name))
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}.") from error


def _images_of_class(root: Path, folder: str, classes: Mapping[str, Path], left_out: LeftOut) -> list[str]:
    """The sorted paths, relative to ``root``, of the images in a class folder; ``classes`` maps all to real paths."""

    def refuse(path: str, error: OSError) -> None:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error

    def check_link(path: str) -> None:
        """Refuse a link that would give this class the images of another one."""
        target = Path(os.path.realpath(path))
        for name, real in classes.items():
            inside = name != folder and target.is_relative_to(real)
            if inside or (real.is_relative_to(target) and (name != folder or real != target)):
                where = f"the class folder {root / name}" if inside else f"{target}, which contains {root / name}"
                raise UserError(f"{path} is a link to {where}. Remove the link: an image belongs to one class.")

    if (root / folder).is_symlink():
        check_link(str(root / folder))
    walk = walk_images(os.path.join(root, folder), left_out, refuse, check_link)
    paths = sorted(Path(path).relative_to(root).as_posix() for path in walk)
    if not paths:
        raise UserError(
            f"{root / folder} contains no images{f' (left out {left_out})' if left_out else ''}. Remove the folder, or "
            "add images of the class."
        )
    return paths
