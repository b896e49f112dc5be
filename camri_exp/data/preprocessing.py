"""How image files become the square pixels of a model, and what a model that was trained elsewhere expects."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from PIL import Image

Resize = Literal["squeeze", "crop", "pad"]
Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
SMALLEST_CROP = 0.1  # below, a small crop of a huge image would be made


@dataclass(frozen=True)
class Preprocessing:
    """From an image of any size to ``image_size`` x ``image_size`` pixels.

    Let L be ``image_size / crop_fraction``, rounded down. The image is resized to L x L (``squeeze``), so that its
    shorter side has L pixels (``crop``), or so that its longer side has L pixels (``pad``), with Pillow's antialiasing
    filter ``interpolation``. Then the square in its centre is cut out; what lies outside of the image is black. For
    ``squeeze`` and ``crop`` these are the pixels of timm's transforms for evaluation.

    Grey values of more than 8 bits, and float ones, are mapped linearly from ``range`` to 0..255, with clipping. None
    is 0..65535, which only 16-bit values have.

    Raises:
        ValueError: an unknown name, a ``crop_fraction`` that is not in [0.1, 1], or a ``range`` that is empty.
    """

    image_size: int
    channels: int = 3
    resize: Resize = "squeeze"
    crop_fraction: float = 1.0
    interpolation: Interpolation = "bilinear"
    range: tuple[float, float] | None = field(default=None, repr=False)  # the repr names the caches of earlier versions

    def __post_init__(self) -> None:
        for name, known in (("resize", get_args(Resize)), ("interpolation", get_args(Interpolation))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)}; expected one of {', '.join(known)}")
        if not SMALLEST_CROP <= self.crop_fraction <= 1:
            raise ValueError(f"crop_fraction={self.crop_fraction}; expected a number from {SMALLEST_CROP} to 1")
        if self.range is not None:
            check_range(self.range)

    def square(self, image: Image.Image) -> Image.Image:
        """The square of ``image``, in its mode."""
        size, length = self.image_size, int(self.image_size / self.crop_fraction)
        unit = {"squeeze": image.size, "crop": [min(image.size)] * 2, "pad": [max(image.size)] * 2}[self.resize]
        sides = [max(1, length * side // whole) for side, whole in zip(image.size, unit, strict=True)]
        resized = image.resize((sides[0], sides[1]), Image.Resampling[self.interpolation.upper()])
        left, top = (round((side - size) / 2) for side in sides)
        return resized.crop((left, top, left + size, top + size))


def check_range(limits: tuple[float, float]) -> tuple[float, float]:
    """``limits``, where they are a range: finite, and the first below the second.

    Raises:
        ValueError: they are not.
    """
    low, high = limits
    if not -math.inf < low < high < math.inf:
        raise ValueError(f"range=[{low},{high}]; expected [low,high] with low below high")
    return limits


@dataclass(frozen=True)
class ModelPreprocessing:
    """What the weights of a model were trained with: the fields of ``Preprocessing``, and one mean and standard
    deviation per channel, for pixels in [0, 1]."""

    resize: Resize
    crop_fraction: float
    interpolation: Interpolation
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def statistics(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """``mean`` and ``std`` of images of ``channels`` channels: of grey ones, the average over the colours."""
        if channels == len(self.mean):
            return self.mean, self.std
        return (sum(self.mean) / len(self.mean),) * channels, (sum(self.std) / len(self.std),) * channels
