"""Does the exported file answer as PyTorch does, and how fast?"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
MOST = 1e-4
REPEATS = 20


@dataclass(frozen=True)
class Check:
    """``difference`` is the largest of scores and probabilities; relative, for scores beyond 1.

    ``milliseconds`` are medians of PyTorch and the file for one picture, then for all ``images`` at once.
    """

    images: int
    difference: float
    same_prediction: int
    milliseconds: tuple[tuple[float, float], tuple[float, float]]


def compare(
    torch_model: Callable[[Array], tuple[Array, Array]], file: Callable[[Array], tuple[Array, Array]], pixels: Array
) -> Check:
    """Both on uint8 pixels (n, C, H, W), as one batch and picture by picture: the batch must not be built in."""
    wanted, whole = torch_model(pixels), file(pixels)
    single = [file(one[None]) for one in pixels[:8]]
    apart = tuple(np.concatenate(parts) for parts in zip(*single, strict=True))
    difference = max(
        _difference(mine, theirs[: len(mine)])
        for found in (whole, apart)
        for mine, theirs in zip(found, wanted, strict=True)
    )
    same = int((whole[0].argmax(1) == wanted[0].argmax(1)).sum())
    first, every = ((_median(torch_model, some), _median(file, some)) for some in (pixels[:1], pixels))
    return Check(len(pixels), difference, same, (first, every))


def _difference(mine: Array, theirs: Array) -> float:
    return float((np.abs(mine - theirs) / np.maximum(np.abs(theirs), 1)).max())


def _median(run: Callable[[Array], Any], pixels: Array) -> float:
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        run(pixels)
        seconds.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(seconds))
