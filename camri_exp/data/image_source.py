"""The sources of decoded images: which files there are, and how they become pixels."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from camri_exp.data.decode import CORRUPT, decode_image, reason
from camri_exp.data.preprocessing import Preprocessing

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Source:
    """The source of a cache.

    Attributes:
        files: their sizes and modification times are part of the fingerprint.
        facts: everything else that determines pixels and labels, such as the names; part of the fingerprint too.
        shape: the shape (N, C, H, W) of the pixels.
        read: returns labels (N,), names, and an iterator of images: uint8 (C, H, W), or for a file that cannot be used
            the reason.
        maxima: after reading, the largest value of each 16-bit image.
        unstored: stands for the pixels where the cache is to hold all but these; None stores them.
    """

    files: Sequence[str | Path]
    facts: str
    shape: tuple[int, int, int, int]
    read: Callable[[], tuple[npt.NDArray[np.int64], Sequence[str], Iterable[Pixels | str]]]
    maxima: list[int] = field(default_factory=list)
    unstored: Tensor | None = None


def image_files(
    paths: Sequence[str | Path],
    target: Sequence[int],
    names: Sequence[str],
    preprocessing: Preprocessing,
    max_pixels: int | None = None,
    unstored: Tensor | None = None,
) -> Source:
    """A source with one image per file, decoded by ``decode_image``.

    ``max_pixels`` decides which files are refused; ``unstored`` is that of ``Source``.
    """
    size = preprocessing.image_size
    shape = (len(paths), preprocessing.channels, size, size)
    labels = np.asarray(target, dtype=np.int64)
    facts = (
        f"{hashlib.sha256(labels.tobytes()).hexdigest()} {hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()}"
    )
    facts += f" {max_pixels}" if max_pixels else ""
    default = Preprocessing(size, preprocessing.channels, range=preprocessing.range)
    if preprocessing != default:  # the default keeps its earlier caches
        facts += f" {preprocessing}"
    facts += f" range={preprocessing.range}" if preprocessing.range else ""
    maxima: list[int] = []
    return Source(
        paths, facts, shape, lambda: (labels, names, _decoded(paths, preprocessing, maxima)), maxima, unstored
    )


def _decoded(
    paths: Sequence[str | Path], preprocessing: Preprocessing, maxima: list[int], block: int = 1024
) -> Iterator[Pixels | str]:
    maxima.clear()  # of an earlier build that failed

    def decode(path: str | Path) -> Pixels | str:
        try:
            return decode_image(path, preprocessing, maxima)
        except CORRUPT as error:
            return reason(error)

    # Pillow releases the interpreter lock while it decodes and resizes. Blocks limit the number of waiting results.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), block):
            yield from pool.map(decode, paths[start : start + block])
