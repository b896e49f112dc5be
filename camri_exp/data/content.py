"""Checksums of image files, which show changes that size and modification time do not show."""

import os
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

Checksums = npt.NDArray[np.uint32]
CHECKED, CONTENTS = "checked", "contents.npy"
WHOLE, PART = 1 << 16, 1 << 14  # a file of up to 64 KiB is read as a whole, of a larger one three parts


def checksum(path: str | Path) -> int:
    """The CRC-32 of a file, or of its first, middle and last 16 KiB where it has more than 64 KiB."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= WHOLE:
            return zlib.crc32(file.read())
        value = 0
        for start in (0, (size - PART) // 2, size - PART):
            file.seek(start)
            value = zlib.crc32(file.read(PART), value)
        return value


def checksums(paths: Sequence[str | Path]) -> Checksums:
    """The checksum of each file."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.fromiter(pool.map(checksum, paths), dtype=np.uint32, count=len(paths))


def store(folder: Path, paths: Sequence[str | Path]) -> None:
    """Write the checksums of ``paths`` to the cache ``folder``, before their pixels are read."""
    (folder / CHECKED).touch()
    np.save(folder / CONTENTS, checksums(paths))


def is_stale(folder: Path, paths: Sequence[str | Path], changed: npt.NDArray[np.int64]) -> bool:
    """Whether a file has another content than when the cache ``folder`` was built.

    Only files are read whose inode changed (``st_ctime``) after the cache was last checked: usually none.

    Args:
        folder: of the cache.
        paths: the files.
        changed: their ``st_ctime_ns``.
    """
    begin = time.time_ns()
    suspects = np.flatnonzero(changed > (folder / CHECKED).stat().st_mtime_ns).tolist()
    if not suspects:
        return False
    stored = np.load(folder / CONTENTS)
    if len(stored) != len(paths) or (checksums([paths[i] for i in suspects]) != stored[suspects]).any():
        return True
    if os.access(folder, os.W_OK):
        os.utime(folder / CHECKED, ns=(begin, begin))
    return False
