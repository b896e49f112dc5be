"""Strips of small images, one per class."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from torch import Tensor

WIDTH = 18.0  # inches


def contact_sheet(rows: Sequence[Tensor], titles: Sequence[str], group: int) -> Figure:
    """A figure with one strip of images per class.

    Args:
        rows: for each class, images (n, C, H, W) in [0, 1]; every ``group`` of them belong together.
        titles: one per class.
        group: number of images between two wider gaps.
    """
    strips = [_strip(row, group) for row in rows]
    height, width = np.max([strip.shape[:2] for strip in strips], axis=0)
    columns = int(np.clip(round((len(rows) * height / width) ** 0.5), 1, 4))
    lines = -(-len(rows) // columns)
    strip_height = WIDTH / columns * height / width
    figure = Figure(figsize=(WIDTH, lines * (strip_height + 0.3)), dpi=100, layout="constrained")
    for axes, strip, title in zip(figure.subplots(lines, columns, squeeze=False).flat, strips, titles, strict=False):
        axes.imshow(strip, interpolation="nearest", extent=(0, strip.shape[1], strip.shape[0], 0))
        axes.set_xlim(0, width)
        axes.set_title(title, fontsize=9, loc="left", pad=2)
    for axes in figure.axes:
        axes.axis("off")
    return figure


def _strip(images: Tensor, group: int) -> npt.NDArray[np.float64]:
    """Images side by side on white, RGB: (H, W', 3)."""
    pixels = images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).double().numpy()
    size = pixels.shape[1]
    gap = max(1, size // 16)
    white = np.ones((size, gap, 3))
    parts = [part for i, image in enumerate(pixels) for part in (white[:, : gap if i % group else 0], image)]
    for i in range(len(images) - group, 0, -group):
        parts.insert(2 * i, np.ones((size, 3 * gap, 3)))
    return np.concatenate(parts, axis=1)
