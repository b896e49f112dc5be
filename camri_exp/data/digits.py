"""scikit-learn's digits: 1,797 real handwritten digits of 8 x 8 pixels, part of the library."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from camri_exp.data.hash_split import HashSplitDataModule
from camri_exp.data.splits import HashRule, indices_by_split
from camri_exp.data.storage import ImageTable, SplitView


class DigitsDataModule(HashSplitDataModule):
    """Grey 8 x 8 digits (Alpaydin & Kaynak 1998, UCI), 70 % training, 10 % validation, 20 % test, stratified.

    Calibration images, where wanted, are taken from training. The split is fixed, so that runs of different seeds are
    tested on the same images. With ``folds``, the rule decides by the names ``digit 0``, ….

    Args:
        image_size: 8.
        rest: see ``HashSplitDataModule``.
    """

    def __init__(self, image_size: int = 8, **rest: Any) -> None:
        super().__init__(image_size=image_size, **rest)
        if image_size != 8:
            raise ValueError(f"image_size={image_size}; the digits have 8 x 8 pixels")

    def load(self) -> dict[str, SplitView]:
        digits = load_digits()
        self.class_names = [str(digit) for digit in range(10)]
        grey = np.round(digits.images * (255 / 16)).astype(np.uint8)  # 17 levels in the source
        images = ImageTable.in_memory(grey[:, None], digits.target, [f"digit {i}" for i in range(len(grey))])
        if self.rule.folds:
            by_hash = indices_by_split([self.rule(name) for name in images.names])
            return {split: images.split(index) for split, index in by_hash.items()}
        return {split: images.split(index) for split, index in _stratified(digits.target, self.rule).items()}


def _stratified(target: npt.NDArray[np.int64], rule: HashRule) -> dict[str, npt.NDArray[np.int64]]:
    """The indices of the images of each split, drawn by scikit-learn with seed 0 for the fractions of ``rule``."""
    splits, left = {"train": np.arange(len(target))}, 1.0
    for split in ("test", "val", "calibration"):
        if share := getattr(rule, split):
            train = splits["train"]
            drawn = train_test_split(train, test_size=share / left, stratify=target[train], random_state=0)
            splits |= dict(zip(("train", split), drawn, strict=True))
            left -= share
    return splits
