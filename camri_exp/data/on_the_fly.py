"""Images that are decoded when they are needed, for data that is too large for a cache of pixels."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from camri_exp.data.decode import CORRUPT, decode_image, pixel_limit, reason
from camri_exp.data.image_source import Pixels
from camri_exp.data.preprocessing import Preprocessing
from camri_exp.errors import UserError
from camri_exp.text import printable


class DecodedOnTheFly:
    """Has the indexing of a uint8 tensor (N, C, H, W), whose images are decoded from their files at each access.

    Only the images of one access are in memory. Pillow releases the interpreter lock, so that threads decode in
    parallel.

    Args:
        paths: the N files.
        preprocessing: how they become pixels.
        max_pixels: as in ``pixel_limit``.
        workers: the number of threads; None is that of the cores.
    """

    is_cuda = False

    def __init__(
        self, paths: Sequence[str], preprocessing: Preprocessing, max_pixels: int | None, workers: int | None
    ) -> None:
        self.paths, self.preprocessing, self.max_pixels = paths, preprocessing, max_pixels
        self.workers = workers or os.cpu_count() or 1
        size = preprocessing.image_size
        self.shape = torch.Size((len(paths), preprocessing.channels, size, size))

    def __getitem__(self, index: Tensor) -> Tensor:
        """The images at ``index``: (n, C, H, W), or (C, H, W) for a single number."""
        images = self.index_select(0, index.reshape(-1))
        return images if index.ndim else images[0]

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The images at ``index``, as ``torch.index_select`` along the first dimension, ``dim`` 0."""
        images = np.empty((len(index), *self.shape[1:]), dtype=np.uint8)
        with pixel_limit(self.max_pixels), ThreadPoolExecutor(self.workers) as pool:
            for row, pixels in enumerate(pool.map(self._decoded, index.tolist())):
                images[row] = pixels
        return torch.from_numpy(images)

    def _decoded(self, index: int) -> Pixels:
        path: str | Path = self.paths[index]
        try:
            return decode_image(path, self.preprocessing)
        except CORRUPT as error:
            raise UserError(
                printable(f"{path} cannot be read any more: {reason(error)}. The images must not change during a run.")
            ) from error
