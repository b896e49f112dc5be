"""Image files to uint8 pixels: training and prediction decode in the same way.

The program in the README repeats these steps without this package; ``camri_exp.export`` compares the two.
"""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from camri_exp.data.preprocessing import Preprocessing
from camri_exp.errors import first_line

VERSION = 2  # increased whenever the resulting pixels change, so that caches of older versions are not used
MODES = {1: "L", 3: "RGB"}
FULL = 65535  # the largest value of 16 bits
# Errors of Pillow for corrupt image files and decompression bombs; RuntimeError is raised for AVIF and DDS.
CORRUPT = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, struct.error, Image.DecompressionBombError)


class UnknownRangeError(ValueError):
    """Pixel values without an agreed range, such as those of float TIFFs: they would become black or wrapped."""


def decode_image(
    path: str | Path, preprocessing: Preprocessing, maxima: list[int] | None = None
) -> npt.NDArray[np.uint8]:
    """Pixels (channels, image_size, image_size) of any file that Pillow reads.

    The image is rotated by its EXIF orientation. Grey values of more than 8 bits are mapped from
    ``preprocessing.range`` to 0..255 (16-bit ones are divided by 257 without it), transparent images are composited on
    white, and the image is converted to RGB or grey, then made a square.

    Args:
        path: the file.
        preprocessing: the range, the number of channels (3, or 1 for grey) and the square.
        maxima: receives the largest value of a 16-bit image without a given range, for ``dark_images``.

    Raises:
        CORRUPT: not an image, a truncated one, one with more pixels than the limit, or, as ``UnknownRangeError``, grey
            values outside of 0..65535 or float ones without a given range, or values that are not numbers.
    """
    # JPEGs are decoded at full size: libjpeg can do it at a fraction (Pillow's draft), which is faster, but gives other
    # pixels than programs that do not.
    with Image.open(path) as image:
        has_16_bits = ";16" in str(image.tile)  # the layout in the file, such as RGB;16L, until the image is loaded
        upright = ImageOps.exif_transpose(image)
    if upright.mode == "F" or upright.mode.startswith("I"):
        upright = _as_8_bit(upright, preprocessing.range, maxima)
    elif has_16_bits and maxima is not None:  # colours, of which Pillow keeps the upper 8 bits
        maxima.append(257 * int(np.max(np.asarray(upright.convert("RGB")))))
    if upright.has_transparency_data:
        colours = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours)
    pixels = np.asarray(preprocessing.square(upright.convert(MODES[preprocessing.channels])))
    return np.ascontiguousarray(pixels[None] if preprocessing.channels == 1 else pixels.transpose(2, 0, 1))


def _as_8_bit(image: Image.Image, given: tuple[float, float] | None, maxima: list[int] | None) -> Image.Image:
    """An 8-bit image of one of more bits or of float values, which Pillow's conversion would clip at 255."""
    values = np.asarray(image, dtype=np.float32)
    if np.isnan(values).any():
        raise UnknownRangeError("some of its values are not numbers")
    low, high = given or _range_of_16_bit(image.mode, values, maxima)
    return Image.fromarray(((values - low) / (high - low) * 255).clip(0, 255).round().astype(np.uint8))


def _range_of_16_bit(mode: str, values: npt.NDArray[np.float32], maxima: list[int] | None) -> tuple[int, int]:
    """The range of 16-bit grey values, 0..65535.

    Raises:
        UnknownRangeError: float values, or integers outside of it.
    """
    hint = "train with its range, data.range=[low,high], or convert it to 8 or 16 bits per channel"
    if mode == "F":
        raise UnknownRangeError(f"float values have no agreed range; {hint}")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > FULL:
        raise UnknownRangeError(f"its values from {low} to {high} are outside of 0..{FULL}; {hint}")
    if maxima is not None:
        maxima.append(high)
    return 0, FULL


def dark_images(maxima: list[int]) -> str | None:
    """A line that says that 16-bit images use less than half of their range; None where they use it.

    Args:
        maxima: the largest value of each 16-bit image.
    """
    if not maxima or max(maxima) > FULL // 2:
        return None
    return (
        f"{len(maxima)} 16-bit images have values up to {max(maxima)} of {FULL}, so that the brightest pixel is "
        f"{round(max(maxima) / 257)} of 255. If they hold fewer bits, give the range of grey ones, "
        "data.range=[low,high], and scale colours to 16 bits."
    )


def reason(error: BaseException) -> str:
    """Why an image file cannot be used, without its path."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or an unknown format"
    if isinstance(error, Image.DecompressionBombError):
        return "more pixels than data.max_pixels"
    return (isinstance(error, OSError) and error.strerror) or first_line(error)


@contextmanager
def pixel_limit(most: int | None) -> Iterator[None]:
    """Refuse images of more than ``most`` pixels, in all threads; None is Pillow's limit of about 179 million."""
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Pillow warns at half of the limit
        if most is not None:
            Image.MAX_IMAGE_PIXELS = most / 2  # type: ignore[assignment]  # Pillow refuses twice as many
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
