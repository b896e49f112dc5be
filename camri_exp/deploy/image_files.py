"""Images of a file or a folder of any size: listed, decoded ahead by threads, and grouped into batches."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from camri_exp.data.decode import CORRUPT, decode_image
from camri_exp.data.image_walk import LeftOut, walk_images
from camri_exp.data.preprocessing import Preprocessing
from camri_exp.errors import UserError

Pixels = npt.NDArray[np.uint8]
OnError = Callable[[str, BaseException], None]


def find_images(images: Path, on_error: OnError, left_out: LeftOut | None = None) -> Iterator[str]:
    """The file ``images``, or the images below that folder, found as in training (``walk_images``).

    Args:
        images: A file or a folder.
        on_error: Called with the path of a folder that cannot be read, and the error.
        left_out: Counts the files and folders that are left out.

    Raises:
        UserError: there is no such file or folder, or it is a pipe, a socket or a device.
    """
    if images.is_dir():
        return walk_images(str(images), LeftOut() if left_out is None else left_out, on_error)
    if images.is_file():
        return iter([str(images)])
    if images.exists():
        raise UserError(f"images={images} is neither a regular file nor a folder.")
    raise UserError(f"images={images}: there is no such file or folder.")


def image_batches(
    paths: Iterable[str],
    preprocessing: Preprocessing,
    batch_size: int,
    on_error: OnError,
    maxima: list[int] | None = None,
) -> Iterator[tuple[list[str], Tensor]]:
    """Batches of paths and their uint8 pixels (n, C, H, W), decoded as in training.

    ``on_error`` is called with the path of each corrupt image file, which is then skipped, and the error. ``maxima``
    receives the largest value of each 16-bit image.
    """
    names: list[str] = []
    pixels: list[Pixels] = []
    for path, decoded in _decoded(paths, preprocessing, maxima, ahead=2 * batch_size):
        if isinstance(decoded, BaseException):
            on_error(path, decoded)
            continue
        names.append(path)
        pixels.append(decoded)
        if len(names) == batch_size:
            yield names, torch.from_numpy(np.stack(pixels))
            names, pixels = [], []
    if names:
        yield names, torch.from_numpy(np.stack(pixels))


def _decoded(
    paths: Iterable[str], preprocessing: Preprocessing, maxima: list[int] | None, ahead: int
) -> Iterator[tuple[str, Pixels | BaseException]]:
    """Each path with its pixels or the error, in order; at most ``ahead`` images are decoded in advance."""

    def decode(path: str) -> Pixels | BaseException:
        try:
            return decode_image(path, preprocessing, maxima)
        except CORRUPT as error:
            return error

    waiting: deque[tuple[str, Future[Pixels | BaseException]]] = deque()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path in paths:
            waiting.append((path, pool.submit(decode, path)))
            if len(waiting) > ahead:
                name, future = waiting.popleft()
                yield name, future.result()
        for name, future in waiting:
            yield name, future.result()
