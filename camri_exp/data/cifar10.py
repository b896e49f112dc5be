"""CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 pixels in ten classes (Krizhevsky 2009)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.data.base import ImageDataModule
from camri_exp.data.cache import cached
from camri_exp.data.download import download_lock
from camri_exp.data.image_source import Source
from camri_exp.data.splits import hold_out
from camri_exp.data.storage import SplitView
from camri_exp.errors import UserError

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FILES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
TRAINING, TEST = 50_000, 10_000


class CIFAR10DataModule(ImageDataModule):
    """CIFAR-10 below ``root/cifar-10-batches-py``; torchvision downloads it and checks its MD5 sums.

    Validation images are chosen by a stable hash from each class's training images: the same on every machine.

    Args:
        root: the parent of ``cifar-10-batches-py``.
        image_size: 32.
        val_fraction: the fraction of the training images of each class that is used for validation.
        rest: see ``ImageDataModule``.

    Raises:
        UserError: the data is missing or damaged, and cannot be downloaded.
    """

    def __init__(self, root: str, image_size: int = 32, val_fraction: float = 0.1, **rest: Any) -> None:
        super().__init__(root=root, image_size=image_size, **rest)
        if image_size != 32:
            raise ValueError(f"image_size={image_size}; the images of CIFAR-10 have 32 x 32 pixels")
        self.val_fraction = val_fraction
        self.folder = Path(root) / "cifar-10-batches-py"

    def prepare_data(self) -> None:
        if self._is_complete():
            return  # torchvision would read and hash all files again; they are checked when the cache is built
        with download_lock(self.folder.parent):
            if not self._is_complete():  # else another process downloaded it while this one waited
                self._torchvision(train=True, download=True)

    def _is_complete(self) -> bool:
        return all((self.folder / name).is_file() for name in FILES)

    def load(self) -> dict[str, SplitView]:
        source = Source([self.folder / name for name in FILES], "cifar10", (TRAINING + TEST, 3, 32, 32), self._read)
        images = cached(source, self.cache_dir, self.folder.parent)
        self.class_names = list(CLASSES)
        fractions = {"val": self.val_fraction, "calibration": self.calibration_fraction}
        held_out = hold_out(images.target[:TRAINING], images.names[:TRAINING], fractions)
        splits = held_out | {"test": np.arange(TRAINING, TRAINING + TEST)}
        return {split: images.split(index) for split, index in splits.items()}

    def _read(self) -> tuple[npt.NDArray[np.int64], list[str], Iterable[npt.NDArray[np.uint8]]]:
        training, test = (self._torchvision(train, download=False) for train in (True, False))
        names = [f"{part}/{i:05}" for part, data in (("train", training), ("test", test)) for i in range(len(data))]
        pixels = (np.ascontiguousarray(image.transpose(2, 0, 1)) for data in (training, test) for image in data.data)
        return np.array(training.targets + test.targets), names, pixels

    def _torchvision(self, train: bool, download: bool) -> Any:
        from torchvision.datasets import CIFAR10

        try:
            return CIFAR10(str(self.folder.parent), train=train, download=download)
        except (OSError, RuntimeError) as error:
            reason = str(getattr(error, "reason", error)).splitlines()[0]
            raise UserError(
                f"CIFAR-10 is incomplete in {self.folder}, and the download failed or was not tried: {reason}.\n"
                f"To install it manually, unpack {CIFAR10.url} in {self.folder.parent}, or give its location: "
                "data.root=DIR"
            ) from error
