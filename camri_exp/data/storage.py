"""All images of a data set, and splits of them that copy nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class SplitView:
    """Some of the images of a data set.

    Attributes:
        images: uint8 (M, C, H, W), those of all splits.
        index: int64 (n,), which of them are in this split.
        target: int64 (n,), their classes.
        names: n file names or other names.
        moments: float64 (n, 2C), mean and mean square of their channels.
        groups: n groups (the physical sign of a picture), where they are known.
    """

    images: Tensor
    index: Tensor
    target: Tensor
    names: Sequence[str]
    moments: npt.NDArray[np.float64]
    groups: Sequence[str] | None = None

    def subset(self, kept: npt.NDArray[np.int64]) -> "SplitView":
        """Those at the positions ``kept``."""
        groups = None if self.groups is None else [self.groups[i] for i in kept]
        names = [self.names[i] for i in kept]
        return SplitView(self.images, self.index[kept], self.target[kept], names, self.moments[kept], groups)

    def to(self, images: Tensor) -> "SplitView":
        """The same, with the images (and what picks them) where ``images`` are."""
        device = images.device
        return SplitView(images, self.index.to(device), self.target.to(device), self.names, self.moments, self.groups)


@dataclass(frozen=True)
class ImageTable:
    """All images of a data set with what is known of each, to be cut into splits.

    Attributes:
        pixels: uint8 (N, C, H, W).
        target: (N,) classes.
        names: N names.
        moments: (N, 2C), mean and mean square of the channels, pixels in [0, 1].
        broken: indices of files that could not be read; their pixels are zero, and no split has them.
    """

    pixels: Tensor
    target: npt.NDArray[np.int64]
    names: Sequence[str]
    moments: npt.NDArray[np.float64]
    broken: Sequence[int] = field(default_factory=list)

    @classmethod
    def in_memory(cls, pixels: npt.NDArray[np.uint8], target: npt.NDArray[Any], names: Sequence[str]) -> "ImageTable":
        """Images that need no cache: uint8 (N, C, H, W)."""
        blocks = [channel_moments(pixels[start : start + 4096]) for start in range(0, len(pixels), 4096)]
        return cls(torch.from_numpy(pixels), np.asarray(target, dtype=np.int64), names, np.concatenate(blocks))

    def split(self, index: Sequence[int] | npt.NDArray[np.int64], groups: Sequence[str] | None = None) -> SplitView:
        """The images at ``index``; ``groups`` are those of all images."""
        chosen = np.asarray(index, dtype=np.int64)
        if self.broken:
            chosen = chosen[~np.isin(chosen, self.broken)]
        return SplitView(
            self.pixels,
            torch.from_numpy(chosen),
            torch.from_numpy(self.target[chosen]),
            [self.names[i] for i in chosen],
            self.moments[chosen],
            None if groups is None else [groups[i] for i in chosen],
        )


def channel_moments(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Mean and mean square of each image's channels, pixels in [0, 1]: (N, C, H, W) -> (N, 2C)."""
    flat = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32) / 255
    return np.concatenate([flat.mean(-1, dtype=np.float64), np.square(flat).mean(-1, dtype=np.float64)], axis=1)
