"""Comparison of an exported file with PyTorch: outputs and speed."""

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# uint8 pixels (n, C, H, W) to scores and probabilities, both (n, K), and predictions (n,)
Model = Callable[[Array], tuple[Array, ...]]
TOLERANCE = 1e-4  # differences below are rounding
REPEATS = 20
SINGLE = 8  # images that are also run alone


@dataclass(frozen=True)
class Parity:
    """How an exported file compares with PyTorch on ``images`` images.

    ``difference`` is the largest difference in scores and probabilities, relative for values above 1.
    ``same_prediction`` counts images. ``milliseconds`` are medians of PyTorch and of the file, for one image and for
    all images in one batch.
    """

    images: int
    difference: float
    same_prediction: int
    milliseconds: tuple[tuple[float, float], tuple[float, float]]


def compare(torch_model: Model, file: Model, pixels: Array) -> Parity:
    """Compare both on uint8 pixels (n, C, H, W).

    The file is run on one batch and image by image, because an exporter may have fixed the batch size.
    """
    expected, batch = torch_model(pixels), file(pixels)
    singles = [file(image[None]) for image in pixels[:SINGLE]]
    alone = tuple(np.concatenate(parts) for parts in zip(*singles, strict=True))
    difference = max(
        float((np.abs(actual - wanted[: len(actual)]) / np.maximum(np.abs(wanted[: len(actual)]), 1)).max())
        for outputs in (batch, alone)
        for actual, wanted in zip(outputs[:2], expected[:2], strict=True)
    )
    same = int((batch[2] == expected[2]).sum())
    first, every = ((_median(torch_model, part), _median(file, part)) for part in (pixels[:1], pixels))
    return Parity(len(pixels), difference, same, (first, every))


def _median(run: Model, pixels: Array) -> float:
    """Median milliseconds of a call."""
    return 1e3 * float(np.median(timeit.repeat(lambda: run(pixels), number=1, repeat=REPEATS)))
