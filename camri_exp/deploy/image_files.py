"""Images of a file or a folder of any size: listed, decoded ahead by threads, and grouped into batches."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from camri_exp.data.decode import CORRUPT, decode_image
from camri_exp.errors import UserError

Pixels = npt.NDArray[np.uint8]
BLOCK = 10_000  # file names of a folder that are sorted at a time
OnError = Callable[[str, BaseException], None]


def find_images(images: Path, on_error: OnError) -> Iterator[str]:
    """The file ``images``, or every file below that folder whose suffix Pillow knows; hidden files are skipped.

    The files of a folder come before those of its subfolders, both sorted by name. In a folder of more than 10,000
    files only blocks of that size are sorted, so that memory does not grow with the folder.

    Args:
        images: A file or a folder.
        on_error: Called with the path of a folder that cannot be read, and the error.

    Raises:
        UserError: there is no such file or folder.
    """
    if images.is_dir():
        return _walk(str(images), frozenset(Image.registered_extensions()), on_error)
    if images.is_file():
        return iter([str(images)])
    raise UserError(f"images={images}: there is no such file or folder.")


def _walk(top: str, suffixes: frozenset[str], on_error: OnError) -> Iterator[str]:
    waiting, seen = [top], set()
    while waiting:
        folder, subfolders = waiting.pop(), []
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:  # a symbolic link to a folder that was already visited
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                visible = (entry for entry in entries if entry.name[0] != ".")
                while block := sorted(islice(visible, BLOCK), key=lambda entry: entry.name):
                    subfolders += [entry.path for entry in block if entry.is_dir()]
                    for entry in block:
                        if os.path.splitext(entry.name)[1].lower() in suffixes and not entry.is_dir():
                            yield entry.path
        except OSError as error:
            on_error(folder, error)
        waiting += reversed(subfolders)


def image_batches(
    paths: Iterable[str], image_size: int, channels: int, batch_size: int, on_error: OnError
) -> Iterator[tuple[list[str], Tensor]]:
    """Batches of paths and their uint8 pixels (n, C, H, W), decoded as in training.

    ``on_error`` is called with the path of each corrupt image file, which is then skipped, and the error.
    """
    names: list[str] = []
    pixels: list[Pixels] = []
    for path, decoded in _decoded(paths, image_size, channels, ahead=2 * batch_size):
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
    paths: Iterable[str], image_size: int, channels: int, ahead: int
) -> Iterator[tuple[str, Pixels | BaseException]]:
    """Each path with its pixels or the error, in order; at most ``ahead`` images are decoded in advance."""

    def decode(path: str) -> Pixels | BaseException:
        try:
            return decode_image(path, image_size, channels)
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
