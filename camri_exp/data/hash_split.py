"""The base of data sets without an official test split: names decide, or groups."""

from typing import Any

from camri_exp.data.base import ImageDataModule
from camri_exp.data.splits import TEST_FRACTION, HashRule


class HashSplitDataModule(ImageDataModule):
    """Base of the data sets that ``rule`` splits; see ``HashRule`` for its fractions and folds.

    Args:
        test_fraction: the fraction of test images, or of groups.
        val_fraction: the fraction of validation images, or of groups.
        folds: the number of folds of a cross-validation, each of which tests ``1 / folds`` of the images.
        fold: the fold that is tested.
        rest: see ``ImageDataModule``.
    """

    def __init__(
        self,
        test_fraction: float = TEST_FRACTION,
        val_fraction: float = 0.1,
        folds: int | None = None,
        fold: int = 0,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.rule = HashRule(test_fraction, val_fraction, self.calibration_fraction, folds, fold)
