"""Decoded once: all pictures of a data set as one memory-mapped uint8 array, shared by every run that maps it.

A cache is a folder named by the fingerprint of its source (names, sizes and times of the files, image size, version of
the decoder). It is built under another name and renamed when it is whole; a lock keeps two processes from building it
at once.
"""

import hashlib
import json
import os
import shutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from platformdirs import user_cache_dir
from tqdm import tqdm

from camri_exp.data.decode import VERSION, decode_image
from camri_exp.errors import UserError

PIXELS, FACTS, MOMENTS = "pixels.uint8", "facts.json", "moments.npy"
SAMPLES, SAMPLE_BYTES = 64, 1 << 20  # the checksum reads at most 64 MiB, however large the cache


@dataclass(frozen=True)
class Cache:
    """Decoded pictures: ``pixels`` (N, C, H, W) uint8, mapped; ``moments`` (N, 2C), mean and mean square a channel.

    ``broken`` are the indices of files that could not be read; their pixels are zero.
    """

    pixels: npt.NDArray[np.uint8]
    moments: npt.NDArray[np.float64]
    broken: list[int]


def cached(
    paths: Sequence[Path], image_size: int, channels: int, cache_dir: str | None, beside: Path, on_error: str = "stop"
) -> Cache:
    """The decoded ``paths``, in their order, from the cache; built first where there is none.

    Args:
        cache_dir: where caches are kept; null is ``.camri_cache`` in the folder ``beside``, or the user's cache folder
            where that cannot be written.
        on_error: ``stop`` at the first file that is no whole picture, or ``skip`` it.

    Raises:
        UserError: a broken file, or a disk that is full.
    """
    parent = _cache_folder(cache_dir, beside)
    folder = parent / fingerprint(paths, image_size, channels)
    shape = (len(paths), channels, image_size, image_size)
    if (cache := _open(folder, shape)) is None:
        with FileLock(parent / f"{folder.name}.lock"):
            if (cache := _open(folder, shape)) is None:  # else another process built it while this one waited
                _build(folder, paths, shape)
                cache = _open(folder, shape)
                assert cache is not None, "a cache just built is whole"
    if cache.broken:
        names = ", ".join(str(paths[i]) for i in cache.broken[:3])
        message = f"{len(cache.broken)} of {len(paths)} files are no whole pictures: {names}"
        if on_error == "stop":
            raise UserError(f"{message}. Mend or remove them, or go on without them: data.on_error=skip")
        print(f"{message}; left out.", file=sys.stderr)
    return cache


def fingerprint(paths: Sequence[Path], image_size: int, channels: int) -> str:
    """Twenty hex digits that change when a file, its size or its time, or the way of decoding changes."""
    digest = hashlib.sha256(f"{VERSION} {image_size} {channels}".encode())
    for path in paths:
        try:
            facts = path.stat()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        digest.update(f"\n{path}\0{facts.st_size}\0{facts.st_mtime_ns}".encode())
    return digest.hexdigest()[:20]


def moments(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Mean and mean square of each image's channels, pixels in [0, 1]: (N, C, H, W) -> (N, 2C)."""
    flat = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32) / 255
    return np.concatenate([flat.mean(-1, dtype=np.float64), np.square(flat).mean(-1, dtype=np.float64)], axis=1)


def _cache_folder(cache_dir: str | None, beside: Path) -> Path:
    for folder in (Path(cache_dir),) if cache_dir else (beside / ".camri_cache", Path(user_cache_dir("camri_exp"))):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise UserError(
        f"the decoded pictures cannot be kept in {folder}. Give a folder that can be written: data.cache_dir=DIR"
    )


def _open(folder: Path, shape: tuple[int, ...]) -> Cache | None:
    """The cache in ``folder``, or None where there is none or it is damaged."""
    try:
        facts = json.loads((folder / FACTS).read_text())
        whole = (folder / PIXELS).stat().st_size == int(np.prod(shape)) and facts["checksum"] == _checksum(
            folder / PIXELS
        )
        if not whole:
            return None
        # Copy-on-write: torch wants writable memory, and what nobody writes stays shared with the other processes.
        pixels = np.memmap(folder / PIXELS, np.uint8, "c", shape=shape)
        return Cache(pixels, np.load(folder / MOMENTS), facts["broken"])
    except (OSError, ValueError, KeyError):
        return None


def _checksum(path: Path) -> int:
    """Of the whole file where it is small, else of evenly spread samples."""
    blocks = -(-path.stat().st_size // SAMPLE_BYTES)
    value = 0
    with open(path, "rb") as file:
        for block in sorted(
            {round(i * (blocks - 1) / (SAMPLES - 1)) for i in range(SAMPLES)} if blocks > SAMPLES else range(blocks)
        ):
            file.seek(block * SAMPLE_BYTES)
            value = zlib.crc32(file.read(SAMPLE_BYTES), value)
    return value


def _build(folder: Path, paths: Sequence[Path], shape: tuple[int, ...]) -> None:
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    for killed in folder.parent.glob(f"{folder.name}.*.tmp"):
        shutil.rmtree(killed, ignore_errors=True)
    try:
        temporary.mkdir()
        with open(temporary / PIXELS, "wb") as file:
            if hasattr(os, "posix_fallocate"):  # a full disk shows now, not in the middle
                os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
            statistics, broken = _decode_into(file, paths, shape)
        np.save(temporary / MOMENTS, statistics)
        (temporary / FACTS).write_text(json.dumps({"broken": broken, "checksum": _checksum(temporary / PIXELS)}))
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        temporary.rename(folder)
    except OSError as error:
        size = np.prod(shape) / 2**20
        raise UserError(
            f"the decoded pictures ({size:.0f} MiB) cannot be written to {folder.parent}: {error.strerror}. "
            "Make room, or give another folder: data.cache_dir=DIR"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _decode_into(
    file: BinaryIO, paths: Sequence[Path], shape: tuple[int, ...]
) -> tuple[npt.NDArray[np.float64], list[int]]:
    statistics, broken = np.zeros((shape[0], 2 * shape[1])), []
    for index, pixels in enumerate(_decoded(paths, shape)):
        if pixels is None:
            broken.append(index)
            pixels = np.zeros(shape[1:], np.uint8)
        statistics[index] = moments(pixels[None])[0]
        file.write(pixels.data)
    return statistics, broken


def _decoded(
    paths: Sequence[Path], shape: tuple[int, ...], block: int = 1024
) -> Iterator[npt.NDArray[np.uint8] | None]:
    def decode(path: Path) -> npt.NDArray[np.uint8] | None:
        try:
            return decode_image(path, shape[-1], shape[1])
        except (OSError, ValueError, SyntaxError):  # what Pillow raises for files that are no whole pictures
            return None

    # Pillow lets go of the interpreter while it decodes and resizes. Blocks keep the results waiting few.
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(paths), unit="picture", desc="decoding", disable=None) as bar,
    ):
        for start in range(0, len(paths), block):
            for pixels in pool.map(decode, paths[start : start + block]):
                bar.update()
                yield pixels
