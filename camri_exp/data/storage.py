"""The images of a data set, and views of its splits that do not copy them."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class SplitView:
    """The images of one split.

    Attributes:
        images: uint8 (N, C, H, W), the images of all splits.
        index: int64 (n,), the indices of the images of this split.
        target: int64 (n,), their classes.
        names: n file names or other names.
        channel_moments: float64 (n, 2C), mean and mean square per channel, for pixels in [0, 1].
        contents: uint32 (n,), checksums of the files.
        groups: n groups, such as the physical sign in the image, where they are known.
    """

    images: Tensor
    index: Tensor
    target: Tensor
    names: Sequence[str]
    channel_moments: npt.NDArray[np.float64]
    contents: npt.NDArray[np.uint32]
    groups: Sequence[str] | None = None

    def subset(self, kept: npt.NDArray[np.int64]) -> "SplitView":
        """A view of the images at the positions ``kept``."""
        groups = None if self.groups is None else [self.groups[i] for i in kept]
        names = [self.names[i] for i in kept]
        moments, contents = self.channel_moments[kept], self.contents[kept]
        return SplitView(self.images, self.index[kept], self.target[kept], names, moments, contents, groups)

    def to(self, images: Tensor) -> "SplitView":
        """The same view of ``images``, a copy of its images on another device."""
        device = images.device
        return replace(self, images=images, index=self.index.to(device), target=self.target.to(device))


def joined(views: Sequence[SplitView]) -> SplitView:
    """One view of the images of all ``views``; nothing is copied where they are views of the same images."""
    groups = [view.groups for view in views]
    images, index = views[0].images, [view.index for view in views]
    if any(view.images is not images for view in views):
        images = torch.cat([view.images for view in views])
        starts = np.cumsum([0, *(len(view.images) for view in views)]).tolist()
        index = [part + start for part, start in zip(index, starts, strict=False)]
    return SplitView(
        images,
        torch.cat(index),
        torch.cat([view.target for view in views]),
        [name for view in views for name in view.names],
        np.concatenate([view.channel_moments for view in views]),
        np.concatenate([view.contents for view in views]),
        None if any(part is None for part in groups) else [group for part in groups for group in part or ()],
    )


@dataclass(frozen=True)
class ImageTable:
    """All images of a data set.

    Attributes:
        pixels: uint8 (N, C, H, W).
        target: classes (N,).
        names: N names.
        channel_moments: float64 (N, 2C), mean and mean square per channel, for pixels in [0, 1].
        contents: uint32 (N,), checksums of the files.
        corrupt: the indices of files that cannot be used, and why; their pixels are zero, and they are in no split.
        note: what the user should know of the pixels.
    """

    pixels: Tensor
    target: npt.NDArray[np.int64]
    names: Sequence[str]
    channel_moments: npt.NDArray[np.float64]
    contents: npt.NDArray[np.uint32]
    corrupt: Mapping[int, str] = field(default_factory=dict)
    note: str | None = None

    @classmethod
    def in_memory(cls, pixels: npt.NDArray[np.uint8], target: npt.NDArray[Any], names: Sequence[str]) -> "ImageTable":
        """A table of images (N, C, H, W) that are not cached."""
        blocks = [channel_moments(pixels[start : start + 4096]) for start in range(0, len(pixels), 4096)]
        contents = np.array([zlib.crc32(image.tobytes()) for image in pixels], dtype=np.uint32)
        labels = np.asarray(target, dtype=np.int64)
        return cls(torch.from_numpy(pixels), labels, names, np.concatenate(blocks), contents)

    def split(self, index: Sequence[int] | npt.NDArray[np.int64], groups: Sequence[str] | None = None) -> SplitView:
        """A view of the images at ``index`` that are not corrupt.

        Args:
            index: indices of images.
            groups: the groups of the images, at least of those at ``index``.
        """
        chosen = np.asarray(index, dtype=np.int64)
        if self.corrupt:
            chosen = chosen[~np.isin(chosen, list(self.corrupt))]
        return SplitView(
            self.pixels,
            torch.from_numpy(chosen),
            torch.from_numpy(self.target[chosen]),
            [self.names[i] for i in chosen],
            self.channel_moments[chosen],
            self.contents[chosen],
            None if groups is None else [groups[i] for i in chosen],
        )


def channel_moments(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Mean and mean square per image and channel, for pixels in [0, 1]: (N, C, H, W) to (N, 2C)."""
    flat = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32) / 255
    return np.concatenate([flat.mean(-1, dtype=np.float64), np.square(flat).mean(-1, dtype=np.float64)], axis=1)
