"""Images with captions, such as the important images that were missed."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from camri_exp.figures import style

COLUMNS, WIDTH = 8, 1.65  # images per row, inches per image


def gallery(images: npt.NDArray[np.uint8], captions: Sequence[str], title: str) -> Figure:
    """A grid of uint8 images (n, C, H, W), each with a caption; n may be 0."""
    columns = style.columns_for(max(len(images), 1), COLUMNS)
    lines = max(1, -(-len(images) // columns))
    columns = max(columns, 3)  # room for the title
    figure = style.new(columns * WIDTH, lines * (WIDTH + 0.55) + 0.5)
    panels = figure.subplots(lines, columns, squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    for axes, image, caption in zip(panels.flat, images, captions, strict=False):
        pixels = image.transpose(1, 2, 0)
        axes.imshow(pixels if len(image) == 3 else np.repeat(pixels, 3, axis=2), interpolation="nearest")
        axes.set_title(caption, fontsize=6.5, pad=3)
    if not len(images):
        panels[0, 0].text(0.5, 0.5, "none", ha="center", va="center", fontsize=12)
    figure.suptitle(title, fontsize=10)
    return figure
