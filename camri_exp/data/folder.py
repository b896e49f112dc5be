"""The user's images: one folder per class, optionally in train, val and test, or a CSV file that lists them."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from camri_exp.data.class_ids import preview
from camri_exp.data.csv_list import LabelledFile, read_csv
from camri_exp.data.decode import pixel_limit
from camri_exp.data.file_based import ImageFileDataModule
from camri_exp.data.folder_list import list_folder
from camri_exp.data.groups import with_groups
from camri_exp.data.hash_split import HashSplitDataModule
from camri_exp.data.labels import cleaned, in_order
from camri_exp.data.near_copies import look_alikes
from camri_exp.data.preprocessing import Preprocessing
from camri_exp.data.splits import SPLITS, HashRule, indices_by_split
from camri_exp.data.storage import SplitView
from camri_exp.errors import UserError
from camri_exp.schema.values import Words
from camri_exp.text import printable

NEAR_COPIES = "near_copies"  # a value of groups


class FolderDataModule(HashSplitDataModule, ImageFileDataModule):
    """Images of any size and format that Pillow reads.

    ``root`` is one of

    - a folder with one folder per class, whose names are the class names;
    - a folder with such folders in ``train/``, ``val/`` and ``test/``, and optionally ``calibration/``;
    - a CSV file with the columns ``path`` (relative to the CSV's folder), ``label``, and optionally ``split`` and
      ``group``.

    Where no split is given, the path of the image decides: let f be the first 8 bytes of its SHA-256, as a big-endian
    number, divided by 2^64. The image is test if f < 0.2, validation if 0.2 <= f < 0.3, calibration if
    0.3 <= f < 0.3 + ``calibration_fraction``, else training. If ``val``, ``test`` or a wanted ``calibration`` has no
    images, the same rule selects them from training. An image keeps its split when others are added or removed. Images
    of one group are in one split: the group is hashed in place of the path.

    Args:
        root: see above.
        image_size: all images become squares of this size.
        channels: 3, or 1 for grey.
        groups: a regular expression whose first capture in the path of an image is its group; null takes the column
            ``group`` of a CSV, or leaves every image independent. ``near_copies`` takes images that look alike, of all
            splits, as a group.
        range: ``[low, high]``, which grey values of more than 8 bits, and float ones, are mapped from to 0..255, with
            clipping; 8-bit images stay as they are. null refuses float values and those outside of 0..65535.
        on_error: ``stop`` at corrupt image files, or ``skip`` them; a message counts and names them.
        max_pixels: images of more pixels are refused, because a small file can hold very many; null is Pillow's limit
            of about 179 million.
        drop_leaked: drop the validation and test images that equal a training image pixel by pixel.
        rest: see ``HashSplitDataModule`` and ``ImageFileDataModule``.

    Raises:
        UserError: no such folder, no images, a class without training images, or an invalid CSV.
    """

    leaked_kept = "kept; data.drop_leaked=true drops them"
    searches_near_copies = True

    def __init__(
        self,
        root: str,
        image_size: int = 64,
        channels: int = 3,
        groups: str | None = None,
        range: Annotated[tuple[float, float], Words("[low,high]")] | None = None,
        on_error: str = "stop",
        max_pixels: int | None = None,
        drop_leaked: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(root=root, image_size=image_size, **rest)
        if max_pixels is not None and max_pixels < 1:
            raise ValueError(f"max_pixels={max_pixels}; expected a number of pixels, at least 1, or null")
        if channels not in (1, 3):
            raise ValueError(f"channels={channels}; expected 3 (colour) or 1 (grey)")
        self.channels, self.on_error, self.max_pixels = channels, on_error, max_pixels
        self.drop_leaked, self.group_pattern = drop_leaked, groups
        if groups == NEAR_COPIES and not self.cache:
            raise ValueError("cache=false with groups=near_copies; near copies are searched among decoded images")
        self.range = None if range is None else (range[0], range[1])

    @property
    def preprocessing(self) -> Preprocessing:
        return replace(super().preprocessing, range=self.range)

    def load(self) -> dict[str, SplitView]:
        root = Path(str(self.root))
        if root.is_file():
            files, folder = read_csv(root), root.parent
        elif root.is_dir():
            files, folder = list_folder(root), root
        else:
            raise UserError(f"data.root={root}: there is no such folder or CSV file.")
        labels = cleaned((file.label for file in files), str(root))
        files = [replace(file, label=labels[file.label]) for file in files]
        if self.group_pattern != NEAR_COPIES:
            files = with_groups(files, self.group_pattern)
        listed, files = files, with_splits(files, self.rule)
        self.class_names = class_names(files, root, self.expected_classes)
        ids = {name: i for i, name in enumerate(self.class_names)}
        names = [file.path for file in files]
        self.files_below = folder
        paths = [os.path.join(folder, name) for name in names]
        target = [ids[file.label] for file in files]
        with pixel_limit(self.max_pixels):
            images = self.read(paths, target, names, folder, self.on_error, self.max_pixels)
        if not self.cache:
            print("data.cache=false: near copies of training images are not searched.", file=sys.stderr)
        if self.group_pattern == NEAR_COPIES:
            groups = look_alikes(images.pixels, names)
            grouped = [replace(file, group=group) for file, group in zip(listed, groups, strict=True)]
            files = with_splits(grouped, self.rule)
        known = [file.group or file.path for file in files] if any(file.group for file in files) else None
        splits = indices_by_split([str(file.split) for file in files])
        return {split: images.split(index, known) for split, index in splits.items()}


def with_splits(files: list[LabelledFile], rule: HashRule) -> list[LabelledFile]:
    """Files without a split get that of their group, or one by ``rule``. A missing split is taken from train by it.

    Raises:
        UserError: a group with images in two of the given splits, or a given split and folds.
    """
    if rule.folds and (other := next((file for file in files if file.split not in (None, "train")), None)):
        raise UserError(
            f"data.folds={rule.folds}: {printable(other.path)} has the split {other.split}; a cross-validation needs "
            "images without a split, or in train/ alone."
        )
    given: dict[str, str] = {}
    for file in files:
        if file.group and file.split and given.setdefault(file.group, file.split) != file.split:
            raise UserError(
                f"the group {printable(file.group)!r} is in {given[file.group]} and in {file.split} ({file.path}); "
                "the images of a group belong to one split."
            )
    own = [rule(file.group or file.path) for file in files]
    splits = [file.split or given.get(file.group or "") or by_rule for file, by_rule in zip(files, own, strict=True)]
    if missing := {"val", "test", *(["calibration"] if rule.calibration else [])}.difference(splits):
        splits = [
            by_rule if split == "train" and by_rule in missing else split
            for split, by_rule in zip(splits, own, strict=True)
        ]
    return [replace(file, split=split) for file, split in zip(files, splits, strict=True)]


def class_names(files: list[LabelledFile], root: Path, expected: Sequence[str] | None = None) -> list[str]:
    """The classes of the training images, sorted by name, or by value where all are numbers; or the ``expected`` ones.

    Raises:
        UserError: a class without training images, or less than two classes.
    """
    names = {split: {file.label for file in files if file.split == split} for split in SPLITS}
    if expected is not None:
        if unknown := sorted(set().union(*names.values()) - set(expected)):
            raise UserError(
                f"{root} has the class {unknown[0]!r}; the model was trained on {preview(expected)}. Give data of "
                "these classes: data.root=DIR"
            )
        return list(expected)
    for split in SPLITS[1:]:
        if extra := sorted(names[split] - names["train"]):
            raise UserError(
                f"{root}: {split} has the class {extra[0]!r}, which has no training images. Add some, or remove it."
            )
    if len(names["train"]) < 2:
        raise UserError(f"{root} has {len(names['train'])} class; expected at least two folders or labels.")
    return in_order(names["train"])
