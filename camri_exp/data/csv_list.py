"""Labelled image files, and CSV files that list them."""

import csv
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from camri_exp.data.splits import SPLITS
from camri_exp.errors import UserError

COLUMNS = ("path", "label", "split", "group")


@dataclass(frozen=True)
class LabelledFile:
    """An image file of the data set."""

    path: str  # relative to the root
    label: str
    split: str | None
    group: str | None = None


def read_csv(path: Path) -> list[LabelledFile]:
    """The image files that a CSV lists, with label and, for some or all, split and group.

    Raises:
        UserError: not a CSV file in UTF-8, other columns, an incomplete row, or an image that is listed twice.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"data.root={path} is neither a folder nor a CSV file in UTF-8: {error}.") from error
    if not {"path", "label"} <= set(columns) <= set(COLUMNS):
        raise UserError(
            f"{path} has the columns {', '.join(columns) or '(none)'}; expected path,label[,split][,group] in the "
            "first line."
        )
    files = []
    for number, row in enumerate(rows, start=2):
        label = (row["label"] or "").strip()
        split, group = ((row.get(column) or "").strip() or None for column in ("split", "group"))
        if not row["path"] or not label:
            raise UserError(f"{path}, line {number}: an image needs a path and a label.")
        if None in row:
            raise UserError(f"{path}, line {number}: more than {len(columns)} values. Quote a path with commas.")
        if split not in (None, *SPLITS):
            raise UserError(
                f"{path}, line {number}: split is {split!r}; expected {', '.join(SPLITS)} or an empty value."
            )
        files.append(LabelledFile(_normalised(path.parent, row["path"]), label, split, group))
    repeated, times = Counter(file.path for file in files).most_common(1)[0] if files else ("", 0)
    if times > 1:
        raise UserError(f"{path} lists {repeated} {times} times. Each image belongs to one class and one split.")
    return files


def _normalised(folder: Path, path: str) -> str:
    """``path`` relative to ``folder``, with ``/``: otherwise one file, written in two ways, could be in two splits."""
    return Path(os.path.relpath(path, folder) if os.path.isabs(path) else os.path.normpath(path)).as_posix()
