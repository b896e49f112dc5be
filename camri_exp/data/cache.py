"""Pictures decoded once: a mapped file of pixels that later runs, and the jobs of a sweep running at once, share.

A cache is a folder named by the fingerprint of its source. It is built under another name and renamed when it is whole,
behind a lock, so that nobody meets half of it, and two processes that start together do not both build it.
"""

import hashlib
import json
import os
import shutil
import sys
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from platformdirs import user_cache_dir
from tqdm import tqdm

from camri_exp.data.decode import BROKEN, VERSION, decode_image
from camri_exp.data.storage import ImageTable, channel_moments
from camri_exp.errors import UserError
from camri_exp.files import locked

Pixels = npt.NDArray[np.uint8]
SAMPLE_BYTES, SAMPLES = 1 << 20, 64  # the checksum reads at most 64 MiB, however large the cache


@dataclass(frozen=True)
class Source:
    """What a cache is made of.

    Attributes:
        files: their sizes and times are the fingerprint, together with ``facts``.
        facts: whatever else the pixels and labels follow from, the files' names among it.
        shape: of all pixels, (N, C, H, W).
        read: the labels (N,), the names, and the pictures one by one: (C, H, W) uint8, or None for a broken file.
    """

    files: Sequence[str | Path]
    facts: str
    shape: tuple[int, int, int, int]
    read: Callable[[], tuple[npt.NDArray[np.int64], Sequence[str], Iterable[Pixels | None]]]


def picture_files(
    paths: Sequence[str | Path], target: Sequence[int], names: Sequence[str], image_size: int, channels: int = 3
) -> Source:
    """A source of one picture a file, decoded as ``decode_image`` does."""
    shape = (len(paths), channels, image_size, image_size)
    labels = np.asarray(target, dtype=np.int64)
    facts = (
        f"{hashlib.sha256(labels.tobytes()).hexdigest()} {hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()}"
    )
    return Source(paths, facts, shape, lambda: (labels, names, _decoded(paths, shape)))


def cached(source: Source, cache_dir: str | None, beside: Path, on_error: str = "stop") -> ImageTable:
    """The images of ``source``, from the cache; built first where there is none.

    Args:
        cache_dir: where caches are kept; null is ``.camri_cache`` in the folder ``beside``, or the user's cache folder
            where that cannot be written.
        on_error: ``stop`` if a file is no whole picture, or ``skip`` it.

    Raises:
        UserError: a broken file, a folder that cannot be written, or a disk that is full.
    """
    if on_error not in ("stop", "skip"):
        raise UserError(f"data.on_error={on_error}; expected stop or skip.")
    parent = _cache_folder(cache_dir, beside)
    # Beside the pictures the cache moves with them, however their folder is spelled; elsewhere the folder tells whose.
    place = "" if parent.parent == beside else os.path.realpath(beside)
    folder = parent / _fingerprint(source, place)
    if (images := _open(folder, source.shape)) is None:
        with locked(parent / f"{folder.name}.lock", "Give another folder: data.cache_dir=DIR"):
            if (images := _open(folder, source.shape)) is None:  # else another process built it while this one waited
                _build(folder, source)
                images = _open(folder, source.shape)
                assert images is not None, "a cache just built is whole"
    if images.broken:
        names = ", ".join(str(source.files[i]) for i in images.broken[:3])
        message = f"{len(images.broken)} of {source.shape[0]} files are no whole pictures: {names}"
        if on_error == "stop":
            raise UserError(f"{message}. Mend or remove them, or go on without them: data.on_error=skip")
        print(f"{message}; left out.", file=sys.stderr)
    return images


def _fingerprint(source: Source, place: str) -> str:
    digest = hashlib.sha256(f"{VERSION} {source.shape} {source.facts} {place}".encode())
    for path in source.files:
        try:
            status = os.stat(path)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        digest.update(f"\n{status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:20]


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


def _open(folder: Path, shape: tuple[int, ...]) -> ImageTable | None:
    """The images in ``folder``, or None where there are none or they are damaged."""
    file = folder / "pixels"
    try:
        facts = json.loads((folder / "facts.json").read_text())
        if file.stat().st_size != int(np.prod(shape)) or facts["checksum"] != _checksum(folder):
            return None
        # Read-only: Linux refuses a copy-on-write mapping that is larger than the machine's memory.
        mapped = np.memmap(file, np.uint8, "r", shape=shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch knows no read-only tensors; nobody writes to this one
            pixels = torch.from_numpy(mapped)
        target, statistics = np.load(folder / "target.npy"), np.load(folder / "moments.npy")
        return ImageTable(pixels, target, facts["names"], statistics, broken=facts["broken"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _checksum(folder: Path) -> int:
    """Of labels, moments and pixels, of these where they are large evenly spread samples."""
    path, value = folder / "pixels", 0
    for small in ("target.npy", "moments.npy"):
        value = zlib.crc32((folder / small).read_bytes(), value)
    blocks = -(-path.stat().st_size // SAMPLE_BYTES)
    spread = {round(i * (blocks - 1) / (SAMPLES - 1)) for i in range(SAMPLES)}
    with open(path, "rb") as file:
        for block in sorted(spread) if blocks > SAMPLES else range(blocks):
            file.seek(block * SAMPLE_BYTES)
            value = zlib.crc32(file.read(SAMPLE_BYTES), value)
    return value


def _build(folder: Path, source: Source) -> None:
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    for killed in folder.parent.glob(f"{folder.name}.*.tmp"):
        shutil.rmtree(killed, ignore_errors=True)
    target, names, pictures = source.read()
    try:
        temporary.mkdir()
        statistics, broken = _write_pixels(temporary / "pixels", pictures, source.shape)
        np.save(temporary / "target.npy", target)
        np.save(temporary / "moments.npy", statistics)
        facts = {"names": list(names), "broken": broken, "checksum": _checksum(temporary)}
        (temporary / "facts.json").write_text(json.dumps(facts))
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        temporary.rename(folder)
    except OSError as error:
        raise UserError(
            f"the decoded pictures ({np.prod(source.shape) / 2**20:.0f} MiB) cannot be written to {folder.parent}: "
            f"{error.strerror or error}. Make room, or give another folder: data.cache_dir=DIR"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_pixels(
    path: Path, pictures: Iterable[Pixels | None], shape: tuple[int, int, int, int]
) -> tuple[npt.NDArray[np.float64], list[int]]:
    """Write all pictures, zeros for broken ones; the moments of each, and which are broken."""
    statistics, broken = np.zeros((shape[0], 2 * shape[1])), []
    with open(path, "wb") as file:
        if hasattr(os, "posix_fallocate"):  # a full disk shows now, not in the middle
            os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
        for index, pixels in enumerate(tqdm(pictures, total=shape[0], unit="picture", desc="decoding", disable=None)):
            if pixels is None:
                broken.append(index)
                pixels = np.zeros(shape[1:], np.uint8)
            statistics[index] = channel_moments(pixels[None])[0]
            file.write(pixels.data)
        file.flush()
        os.fsync(file.fileno())  # or a power cut could leave the new name and not the pixels
    return statistics, broken


def _decoded(
    paths: Sequence[str | Path], shape: tuple[int, int, int, int], block: int = 1024
) -> Iterator[Pixels | None]:
    def decode(path: str | Path) -> Pixels | None:
        try:
            return decode_image(path, shape[-1], shape[1])
        except BROKEN:
            return None

    # Pillow lets go of the interpreter while it decodes and resizes. Blocks keep the results waiting few.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), block):
            yield from pool.map(decode, paths[start : start + block])
