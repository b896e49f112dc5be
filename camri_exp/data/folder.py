"""The user's own pictures: a folder a class, with train, val and test above them or not, or a CSV that lists them."""

import csv
import os
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from camri_exp.data.base import ImageDataModule
from camri_exp.data.cache import cached, picture_files
from camri_exp.data.splits import by_hash
from camri_exp.data.storage import SplitView
from camri_exp.errors import UserError

SPLITS = ("train", "val", "test")
COLUMNS = ("path", "label", "split")


@dataclass(frozen=True)
class Picture:
    path: str  # relative to the root
    label: str
    split: str | None


class FolderDataModule(ImageDataModule):
    """Pictures of any size and kind that Pillow reads.

    ``root`` is one of

    - a folder of folders, one a class, whose names are the class names;
    - a folder with such folders in ``train/``, ``val/`` and ``test/``;
    - a CSV file with the columns ``path`` (from the CSV's folder), ``label``, and if wished ``split``.

    Where no split is given, the picture's path decides, and where nothing is in ``val`` or ``test``, it decides which
    training pictures go there: with f = the first 8 bytes of its
    SHA-256, big-endian, over 2^64, it is test if f < 0.2, validation if f < 0.3, else training. A picture stays in its
    split whatever is added or removed.

    Args:
        channels: 3, or 1 for grey.
        on_error: ``stop`` at files that are no whole pictures, or ``skip`` them; they are named and counted.
        rest: see ``ImageDataModule``.

    Raises:
        UserError: no such folder, nothing in it, a class that training lacks, or a wrong CSV.
    """

    def __init__(self, root: str, image_size: int = 64, channels: int = 3, on_error: str = "stop", **rest: Any) -> None:
        super().__init__(root=root, image_size=image_size, **rest)
        if channels not in (1, 3):
            raise ValueError(f"channels={channels}; expected 3 (colour) or 1 (grey)")
        self.channels, self.on_error = channels, on_error

    def load(self) -> dict[str, SplitView]:
        root = Path(str(self.root))
        if root.is_file():
            pictures, folder = read_csv(root), root.parent
        elif root.is_dir():
            pictures, folder = list_folder(root), root
        else:
            raise UserError(f"data.root={root}: there is no such folder or CSV file.")
        pictures = with_splits(pictures)
        self.class_names = class_names(pictures, root)
        ids = {name: i for i, name in enumerate(self.class_names)}
        names = [picture.path for picture in pictures]
        source = picture_files(
            [os.path.join(folder, name) for name in names],
            [ids[picture.label] for picture in pictures],
            names,
            self.image_size,
            self.channels,
        )
        images = cached(source, self.cache_dir, folder, self.on_error)
        return {
            split: images.split([i for i, picture in enumerate(pictures) if picture.split == split]) for split in SPLITS
        }


def list_folder(root: Path) -> list[Picture]:
    """The pictures of a folder of classes, or of such folders in train, val and test."""
    tops = [split for split in SPLITS if (root / split).is_dir()]
    if "train" in tops:
        _tell_of_others(root)
        return [Picture(f"{split}/{path}", label, split) for split in tops for path, label in _classes(root / split)]
    return [Picture(path, label, None) for path, label in _classes(root)]


def _tell_of_others(root: Path) -> None:
    others = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != ".")
    if ignored := [name for name in others if name not in SPLITS]:
        print(f"{root}: {', '.join(ignored)} beside train/ is not read; only val/ and test/ are.", file=sys.stderr)


def _classes(folder: Path) -> list[tuple[str, str]]:
    suffixes = set(Image.registered_extensions())
    found = []
    for label in sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != "."):
        inside = [
            str((Path(place) / name).relative_to(folder).as_posix())
            for place, _, names in os.walk(folder / label)
            for name in names
            if Path(name).suffix.lower() in suffixes and name[0] != "."
        ]
        if not inside:
            raise UserError(f"{folder / label} holds no pictures. Remove that folder, or add pictures of the class.")
        found += [(path, label) for path in sorted(inside)]
    if not found:
        raise UserError(
            f"{folder} holds no folders of pictures. Expected one folder a class, or train/, val/ and test/."
        )
    return found


def read_csv(path: Path) -> list[Picture]:
    """The pictures that a CSV lists: path, label and, for some or all, split."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns, rows = list(reader.fieldnames or []), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"data.root={path} is no folder, and no CSV file in UTF-8: {error}.") from error
    if not {"path", "label"} <= set(columns) <= set(COLUMNS):
        raise UserError(
            f"{path} has the columns {', '.join(columns) or 'of no header'}; expected path,label or path,label,split "
            "in the first line."
        )
    pictures = []
    for number, row in enumerate(rows, start=2):
        split = row.get("split") or None
        if not row["path"] or not row["label"]:
            raise UserError(f"{path}, line {number}: a picture needs a path and a label.")
        if None in row:
            raise UserError(f"{path}, line {number}: more than {len(columns)} values. Quote a path with commas.")
        if split not in (None, *SPLITS):
            raise UserError(f"{path}, line {number}: split is {split!r}; expected train, val, test or nothing.")
        pictures.append(Picture(_from(path.parent, row["path"]), row["label"], split))
    often, times = Counter(picture.path for picture in pictures).most_common(1)[0] if pictures else ("", 0)
    if times > 1:
        raise UserError(f"{path} lists {often} {times} times. Each picture belongs to one class and one split.")
    return pictures


def _from(folder: Path, path: str) -> str:
    """A path in its one spelling: from ``folder``, with ``/``. Else one file could be in two splits."""
    return Path(os.path.relpath(path, folder) if os.path.isabs(path) else os.path.normpath(path)).as_posix()


def with_splits(pictures: list[Picture]) -> list[Picture]:
    """Pictures without a split get one by hash; a missing val or test is taken from train."""
    placed = [picture if picture.split else replace(picture, split=by_hash(picture.path)) for picture in pictures]
    there = {picture.split for picture in placed}

    def split(picture: Picture) -> str | None:
        wanted = by_hash(picture.path)
        return picture.split if picture.split != "train" or wanted in there else wanted

    return [replace(picture, split=split(picture)) for picture in placed]


def class_names(pictures: list[Picture], root: Path) -> list[str]:
    """The classes of the training pictures, in the order of their names (numbers by value)."""
    names = {split: {picture.label for picture in pictures if picture.split == split} for split in SPLITS}
    for split in ("val", "test"):
        if extra := sorted(names[split] - names["train"]):
            raise UserError(
                f"{root}: {split} has the class {extra[0]!r}, training has no picture of it. Add some, or remove it."
            )
    if len(names["train"]) < 2:
        raise UserError(f"{root} has {len(names['train'])} class; expected at least two folders or labels.")
    numbers = all(name.isdigit() for name in names["train"])
    return sorted(names["train"], key=lambda name: (int(name) if numbers else 0, name))
