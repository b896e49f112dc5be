"""scikit-learn's digits: 1,797 real handwritten digits of 8 x 8 pixels, part of the library."""

from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from camri_exp.data.base import ImageDataModule
from camri_exp.data.storage import ImageTable, SplitView


class DigitsDataModule(ImageDataModule):
    """Grey 8 x 8 digits (Alpaydin & Kaynak 1998, UCI), 70 % training, 10 % validation, 20 % test, stratified.

    Calibration images, where wanted, are taken from training. The split is fixed, so that runs of different seeds are
    tested on the same images.

    Args:
        image_size: 8.
        rest: see ``ImageDataModule``.
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
        rest, test = train_test_split(np.arange(len(grey)), test_size=0.2, stratify=digits.target, random_state=0)
        train, val = train_test_split(rest, test_size=0.125, stratify=digits.target[rest], random_state=0)
        splits = {"train": train, "val": val, "test": test}
        if share := self.calibration_fraction * len(grey) / len(train):
            kept, held = train_test_split(train, test_size=share, stratify=digits.target[train], random_state=0)
            splits |= {"train": kept, "calibration": held}
        return {split: images.split(index) for split, index in splits.items()}
