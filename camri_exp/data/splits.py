"""Splits that are the same on every machine: by hashes of names, not by the order of files or a random generator."""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

# Calibration images choose nothing: promises on the recall are calibrated on them. Not every data set has them.
SPLITS = ("train", "val", "calibration", "test")
NOUNS = {"train": "training", "val": "validation", "calibration": "calibration", "test": "test"}
TEST_FRACTION = 0.2
HELD_OUT = "held_out"  # taken from training, for a loss that adapts to images; it chooses nothing else


def stable_fraction(name: str) -> float:
    """A number in [0, 1) from the name alone: the first 8 bytes of its SHA-256, big-endian, divided by 2^64.

    The name is hashed in Unicode's composed form (NFC), because file systems differ in it; names that are not UTF-8 by
    their bytes.
    """
    content = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") / 2**64


@dataclass(frozen=True)
class HashRule:
    """Assigns a split by the ``stable_fraction`` f of a name: test if f < 0.2, val if f < 0.3, else train.

    The name is that of an image, or of a group of images that stay together. Other names do not affect the split.

    Args:
        test: the fraction of test images.
        val: the fraction of validation images.
        calibration: the fraction of calibration images, which follow those of validation.
        folds: the number of folds of a cross-validation; each has another ``1 / folds`` of the names as test, in place
            of ``test``. Fold 0 of 5 is the rule without folds.
        fold: from 0 to ``folds - 1``.

    Raises:
        ValueError: fractions that leave no training images, both ``test`` and ``folds``, or no such fold.
    """

    test: float = TEST_FRACTION
    val: float = 0.1
    calibration: float = 0.0
    folds: int | None = None
    fold: int = 0

    def __post_init__(self) -> None:
        if self.folds is not None and (self.folds < 2 or self.test != TEST_FRACTION):
            raise ValueError(
                f"folds={self.folds} and test_fraction={self.test}; expected at least 2 folds, each of which tests "
                "1 / folds of the images, and then no test_fraction"
            )
        if not 0 <= self.fold < (self.folds or 1):
            raise ValueError(f"fold={self.fold} and folds={self.folds}; expected folds=K and a fold from 0 to K - 1")
        if (held_out := sum(self._fractions.values())) >= 1:
            raise ValueError(f"the held-out fractions add up to {held_out:g}, which leaves no training images")

    @property
    def _fractions(self) -> dict[str, float]:
        test = 1 / self.folds if self.folds else self.test
        return {"test": test, "val": self.val, "calibration": self.calibration}

    def __call__(self, name: str) -> str:
        position, end = (stable_fraction(name) - self.fold / (self.folds or 1)) % 1, 0.0
        for split, share in self._fractions.items():
            end += share
            if position < end:
                return split
        return "train"


def indices_by_split(assigned: Sequence[str]) -> dict[str, list[int]]:
    """The indices of the images of each split; ``calibration`` is left out where it has none."""
    indices = {split: [i for i, own in enumerate(assigned) if own == split] for split in SPLITS}
    return {split: found for split, found in indices.items() if found or split != "calibration"}


def hold_out(
    target: npt.NDArray[np.int64], units: Sequence[str], fractions: Mapping[str, float], seed: int = 0
) -> dict[str, npt.NDArray[np.int64]]:
    """Hold out fractions of the units of each class, at least one each; returns the indices of the images by split.

    Args:
        target: classes (N,).
        units: N names; images of one unit, such as a physical sign, stay together. A unit may be a single image.
        fractions: the fraction of the units of each class, by split. Splits of fraction 0 are left out, and the units
            of none are those of ``train``. A later split does not affect an earlier one.
        seed: selects the units.
    """
    by_class: defaultdict[int, set[str]] = defaultdict(set)
    for label, unit in zip(target.tolist(), units, strict=True):
        by_class[label].add(unit)
    wanted = {split: fraction for split, fraction in fractions.items() if fraction}
    assigned: dict[tuple[int, str], str] = {}
    for label, names in by_class.items():
        ranked = iter(sorted(names, key=lambda name: stable_fraction(f"{seed}/{name}")))
        for split, fraction in wanted.items():
            number = max(1, round(fraction * len(names)))
            assigned.update({(label, name): split for name in islice(ranked, number)})
    splits = np.array([assigned.get(pair, "train") for pair in zip(target.tolist(), units, strict=True)])
    return {split: np.flatnonzero(splits == split) for split in ("train", *wanted)}
