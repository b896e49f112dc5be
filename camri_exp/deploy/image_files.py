"""Pictures from a file or a folder, however large: found, decoded ahead by threads, and handed on in batches."""

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

from camri_exp.data.decode import BROKEN, decode_image
from camri_exp.errors import UserError

Pixels = npt.NDArray[np.uint8]
BLOCK = 10_000  # names of a folder that are sorted at a time
Tell = Callable[[str, BaseException], None]


def find(images: Path, tell: Tell) -> Iterator[str]:
    """The file ``images``, or every picture below that folder: files with a suffix that Pillow knows, none hidden.

    A folder's files come by name, then its folders. Of a huge folder 10,000 names are held at a time, so that the
    order is by name within each of these blocks only.

    Args:
        images: a file or a folder.
        tell: called with a folder that cannot be read, and why.

    Raises:
        UserError: there is no such file or folder.
    """
    if images.is_dir():
        return _below(str(images), frozenset(Image.registered_extensions()), tell)
    if images.is_file():
        return iter([str(images)])
    raise UserError(f"images={images}: there is no such file or folder.")


def _below(top: str, suffixes: frozenset[str], tell: Tell) -> Iterator[str]:
    waiting, seen = [top], set()
    while waiting:
        folder, inside = waiting.pop(), []
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:  # a link that leads back
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                visible = (entry for entry in entries if entry.name[0] != ".")
                while block := sorted(islice(visible, BLOCK), key=lambda entry: entry.name):
                    inside += [entry.path for entry in block if entry.is_dir()]
                    for entry in block:
                        if os.path.splitext(entry.name)[1].lower() in suffixes and not entry.is_dir():
                            yield entry.path
        except OSError as error:
            tell(folder, error)
        waiting += reversed(inside)


def batches(
    paths: Iterable[str], image_size: int, channels: int, batch_size: int, tell: Tell
) -> Iterator[tuple[list[str], Tensor]]:
    """Paths and pixels uint8 (n, C, H, W), decoded as in training; ``tell`` hears of unreadable files and why."""
    names: list[str] = []
    pixels: list[Pixels] = []
    for path, found in _decoded(paths, image_size, channels, ahead=2 * batch_size):
        if isinstance(found, BaseException):
            tell(path, found)
            continue
        names.append(path)
        pixels.append(found)
        if len(names) == batch_size:
            yield names, torch.from_numpy(np.stack(pixels))
            names, pixels = [], []
    if names:
        yield names, torch.from_numpy(np.stack(pixels))


def _decoded(
    paths: Iterable[str], image_size: int, channels: int, ahead: int
) -> Iterator[tuple[str, Pixels | BaseException]]:
    def decode(path: str) -> Pixels | BaseException:
        try:
            return decode_image(path, image_size, channels)
        except BROKEN as error:
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
