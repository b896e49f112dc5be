"""The published preprocessing: what a program that uses an exported file does without this package.

The lines of ``preprocess`` are those of the program in README.md and docs/deploy.md; a test compares them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from camri_exp.data.decode import MODES, pixel_limit
from camri_exp.errors import UserError


def preprocess(path: str | Path, size: int, mode: str) -> npt.NDArray[np.uint8]:
    """The input (1, C, size, size) of an exported model for one image file; ``mode`` is ``RGB`` or ``L``."""
    image: Any = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):  # 16-bit grey
        image = Image.fromarray((np.asarray(image, dtype=np.float32) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert(mode).resize((size, size), Image.BILINEAR)  # type: ignore[attr-defined]
    pixels = np.asarray(image).reshape(1, size, size, -1).transpose(0, 3, 1, 2)
    return pixels


def check_preprocessing(paths: Sequence[str | Path], pixels: npt.NDArray[np.uint8]) -> None:
    """Check that ``preprocess`` gives ``pixels`` (n, C, H, W), those of training, for ``paths``, which may be none.

    Raises:
        UserError: a file for which the two differ.
    """
    for path, expected in zip(paths, pixels, strict=False):
        with pixel_limit(2**40):  # the file was decoded within the limit of the run before
            actual = preprocess(path, expected.shape[-1], MODES[len(expected)])[0]
        difference = int(np.abs(actual.astype(int) - expected).max())
        if difference:
            raise UserError(
                f"{path}: the pixels of the program in docs/deploy.md differ from those of training by up to "
                f"{difference} of 255; nothing was written. Please report this file."
            )
