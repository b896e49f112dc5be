"""How many images, and groups of them, each class has in each split."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from camri_exp.data.splits import SPLITS
from camri_exp.data.storage import SplitView


@dataclass(frozen=True)
class Count:
    """A number of images, and of the groups that they come in, where these are known."""

    images: int
    groups: int | None = None

    @property
    def margin(self) -> float:
        """Half of the 95 % interval of a share of these images, ``1.96 sqrt(0.25 / n)``: the widest, at a share of 0.5.

        n is the number of groups where they are known, since the images of a group are similar; NaN without images.
        """
        independent = self.images if self.groups is None else self.groups
        return NormalDist().inv_cdf(0.975) * math.sqrt(0.25 / independent) if independent else math.nan

    def __str__(self) -> str:
        return str(self.images) if self.groups is None else f"{self.images} ({self.groups})"


def count_of(split: SplitView, label: int | None = None) -> Count:
    """The images of the class ``label`` in ``split``, or all of them."""
    chosen = [i for i, own in enumerate(split.target.tolist()) if label in (None, own)]
    return Count(len(chosen), None if split.groups is None else len({split.groups[i] for i in chosen}))


def counts_table(splits: Mapping[str, SplitView], class_names: Sequence[str]) -> str:
    """A line per class and a column per split; the number of groups follows in brackets where they are known."""
    present = [name for name in SPLITS if name in splits]
    rows = [[name, *(str(count_of(splits[split], k)) for split in present)] for k, name in enumerate(class_names)]
    rows = [["class", *present], *rows, ["all", *(str(count_of(splits[split])) for split in present)]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
