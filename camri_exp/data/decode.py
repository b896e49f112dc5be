"""Image files to uint8 pixels: training and prediction decode in the same way."""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

VERSION = 1  # increased whenever the resulting pixels change, so that caches of older versions are not used
MODES = {1: "L", 3: "RGB"}
# Errors of Pillow for corrupt image files and decompression bombs; RuntimeError is raised for AVIF and DDS.
CORRUPT = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, struct.error, Image.DecompressionBombError)


def decode_image(path: str | Path, image_size: int, channels: int) -> npt.NDArray[np.uint8]:
    """Pixels (channels, image_size, image_size) of any file that Pillow reads.

    The image is rotated by its EXIF orientation, then resized to a square with Pillow's antialiasing bilinear filter.
    Nothing is cropped, because the object may be anywhere in the image.

    Raises:
        CORRUPT: not an image, a truncated one, or one with more pixels than Pillow's limit.
    """
    with Image.open(path) as image:
        # JPEGs are decoded at a fraction of their size where that suffices.
        image.draft(MODES[channels], (image_size, image_size))
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16-bit grey, which Pillow's conversion would clip at 255
            upright = Image.fromarray((np.asarray(upright, dtype=np.float32) / 257).round().astype(np.uint8))
        square = upright.convert(MODES[channels]).resize((image_size, image_size), Image.Resampling.BILINEAR)
    pixels = np.asarray(square)
    return np.ascontiguousarray(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1))
