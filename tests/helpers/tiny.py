"""A generated data set, so that tests need no download."""

from typing import Any

import torch

from camri_exp.data.base import ImageDataModule
from camri_exp.data.storage import ImageTable, SplitView

COLOURS = {
    "red": (200, 40, 40),
    "green": (40, 200, 40),
    "blue": (40, 40, 200),
    "grey": (90, 90, 90),
    "white": (230, 230, 230),
    "teal": (40, 160, 160),
}


class TinyDataModule(ImageDataModule):
    """Noisy squares in six colours; 97 training, 37 validation and 41 test images, so that batches are uneven.

    Calibration images, where wanted, are more of them.
    """

    def __init__(
        self, val_fraction: float = 0.1, split_seed: int = 0, stored_size: int | None = None, **rest: Any
    ) -> None:
        super().__init__(**rest)  # the three are settings of experiments; these splits and images are fixed

    def load(self) -> dict[str, SplitView]:
        self.class_names = list(COLOURS)
        generator = torch.Generator().manual_seed(0)
        sizes = {"train": 97, "val": 37, "test": 41}
        if self.calibration_fraction:
            sizes["calibration"] = round(self.calibration_fraction * sum(sizes.values()))
        return {name: self._split(name, size, generator) for name, size in sizes.items()}

    def _split(self, name: str, size: int, generator: torch.Generator) -> SplitView:
        target = torch.arange(size) % len(COLOURS)
        base = torch.tensor(list(COLOURS.values()))[target][:, :, None, None]
        noise = torch.randint(-60, 61, (size, 3, self.image_size, self.image_size), generator=generator)
        pixels = (base + noise).clamp(0, 255).byte().numpy()
        return ImageTable.in_memory(pixels, target.numpy(), [f"{name} {i}" for i in range(size)]).split(range(size))
