"""One picture file to uint8 pixels: what training saw is what prediction sees."""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

VERSION = 1  # raised whenever the pixels that come out change, so that no old cache is taken for a new one
MODES = {1: "L", 3: "RGB"}
# What Pillow raises for files that are no whole pictures, or absurdly large ones; RuntimeError comes from AVIF and DDS.
BROKEN = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, struct.error, Image.DecompressionBombError)


def decode_image(path: str | Path, image_size: int, channels: int) -> npt.NDArray[np.uint8]:
    """Pixels (channels, image_size, image_size) of any file that Pillow reads.

    Turned as its EXIF data says, then squeezed to a square with Pillow's antialiasing bilinear filter: nothing is
    cropped away, because nobody knows where in the picture the important thing is.

    Raises:
        BROKEN: not a picture, a truncated one, or one of more pixels than Pillow takes for honest.
    """
    with Image.open(path) as image:
        # JPEGs decode at a fraction of their size where that is enough.
        image.draft(MODES[channels], (image_size, image_size))
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip at 255
            upright = Image.fromarray((np.asarray(upright, dtype=np.float32) / 257).round().astype(np.uint8))
        square = upright.convert(MODES[channels]).resize((image_size, image_size), Image.Resampling.BILINEAR)
    pixels = np.asarray(square)
    return np.ascontiguousarray(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1))
