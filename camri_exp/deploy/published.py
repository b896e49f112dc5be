"""The published preprocessing: what a program that uses an exported file does without this package.

The lines of ``preprocess`` are those of the program in README.md and docs/deploy.md; a test compares them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from camri_exp.data.decode import pixel_limit
from camri_exp.data.preprocessing import Preprocessing
from camri_exp.errors import UserError


def preprocess(path: str | Path, metadata: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    """The input (1, C, size, size) of an exported model with ``metadata`` for one image file."""
    size, mode = metadata["image_size"], "RGB" if metadata["channels"] == 3 else "L"
    image: Any = ImageOps.exif_transpose(Image.open(path))
    if image.mode == "F" or image.mode.startswith("I"):  # grey values that are not 8-bit
        low, high = metadata.get("range") or (0, 65535)
        values = (np.asarray(image, dtype=np.float32) - low) / (high - low) * 255
        image = Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    length, method = int(size / metadata["crop_fraction"]), Image.Resampling[metadata["interpolation"].upper()]
    unit = {"squeeze": image.size, "crop": [min(image.size)] * 2, "pad": [max(image.size)] * 2}[metadata["resize"]]
    sides = [max(1, length * side // whole) for side, whole in zip(image.size, unit, strict=True)]
    left, top = (round((side - size) / 2) for side in sides)
    image = image.convert(mode).resize(sides, method).crop((left, top, left + size, top + size))
    pixels = np.asarray(image).reshape(1, size, size, -1).transpose(0, 3, 1, 2)
    return pixels


def check_preprocessing(
    paths: Sequence[str | Path], pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing
) -> None:
    """Check that ``preprocess`` gives ``pixels`` (n, C, H, W), those of training, for ``paths``, which may be none.

    Raises:
        UserError: a file for which the two differ.
    """
    for path, expected in zip(paths, pixels, strict=False):
        with pixel_limit(2**40):  # the file was decoded within the limit of the run before
            actual = preprocess(path, asdict(preprocessing))[0]
        difference = int(np.abs(actual.astype(int) - expected).max())
        if difference:
            raise UserError(
                f"{path}: the pixels of the program in docs/deploy.md differ from those of training by up to "
                f"{difference} of 255; nothing was written. Please report this file."
            )
