"""The cache of decoded images: a memory-mapped file of pixels, shared by later runs and by parallel jobs of a sweep.

A cache is a folder that is named by the fingerprint of its source. It is built under a temporary name, behind a lock,
and renamed when it is complete: no process can read an incomplete one, and processes that start together build it once.
"""

import hashlib
import json
import os
import shutil
import stat
import sys
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from platformdirs import user_cache_dir
from tqdm import tqdm

from camri_exp.data import content
from camri_exp.data.decode import VERSION, dark_images
from camri_exp.data.image_source import Pixels, Source
from camri_exp.data.storage import ImageTable, channel_moments
from camri_exp.errors import UserError
from camri_exp.files import locked
from camri_exp.text import printable

ANNOUNCED = 100  # MiB of a cache that is announced before it is built
SAMPLE_BYTES, SAMPLES = 1 << 20, 64  # the checksum reads at most 64 MiB of a cache of any size


def cached(source: Source, cache_dir: str | None, data_dir: Path, on_error: str = "stop") -> ImageTable:
    """The images of ``source`` from the cache, which is built if necessary.

    Args:
        source: the images.
        cache_dir: the folder of caches; None is ``.camri_cache`` in ``data_dir``, or the user's cache folder where that
            cannot be written.
        data_dir: the folder of the data set.
        on_error: ``stop`` at corrupt image files, or ``skip`` them.

    Raises:
        UserError: a corrupt image file, a folder that cannot be written, or a full disk.
    """
    if on_error not in ("stop", "skip"):
        raise UserError(f"data.on_error={on_error}; expected stop or skip.")
    parent = cache_folder(cache_dir, data_dir)
    # In the folder of the data set, a cache stays valid when the folder is moved. In a common folder, the path of the
    # data set is part of the fingerprint, because some archives unpack files of equal names, sizes and times.
    location = "" if parent.parent == data_dir else os.path.realpath(data_dir)
    fingerprint, changed = _fingerprint(source, location)
    folder = parent / fingerprint
    if (images := _open(folder, source, changed)) is None:
        with locked(parent / f"{folder.name}.lock", "Give another folder: data.cache_dir=DIR"):
            images = _open(folder, source, changed)  # another process may have built it while this one waited
            if images is None:
                _build(folder, source)
                images = _open(folder, source, changed)
                if images is None:
                    raise UserError(f"the images in {data_dir} changed while they were decoded. Start again.")
    if images.note:
        print(f"{data_dir}: {images.note}", file=sys.stderr)
    if images.corrupt:
        files = ", ".join(f"{source.files[i]} ({why})" for i, why in list(images.corrupt.items())[:3])
        message = printable(f"{len(images.corrupt)} of {source.shape[0]} image files cannot be used: {files}")
        if on_error == "stop":
            raise UserError(f"{message}. Fix or remove them, or skip them: data.on_error=skip")
        print(f"{message}; skipped.", file=sys.stderr)
    return images


def _fingerprint(source: Source, location: str) -> tuple[str, npt.NDArray[np.int64]]:
    """The name of the cache, and the times at which the inodes of the files last changed."""
    changed = np.zeros(len(source.files), dtype=np.int64)
    digest = hashlib.sha256(f"{VERSION} {source.shape} {source.facts} {location}".encode())
    digest.update(b"" if source.unstored is None else b" without pixels")
    for i, path in enumerate(source.files):
        try:
            status = os.stat(path)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise UserError(f"{path} is not a regular file. Remove it, or list another file.")
        digest.update(f"\n{status.st_size} {status.st_mtime_ns}".encode())
        changed[i] = status.st_ctime_ns
    return digest.hexdigest()[:20], changed


def cache_folder(cache_dir: str | None, data_dir: Path | None) -> Path:
    """The first folder for caches that can be written; see ``cached``."""
    beside = () if data_dir is None else (data_dir / ".camri_cache",)
    for folder in (Path(cache_dir),) if cache_dir else (*beside, Path(user_cache_dir("camri_exp"))):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise UserError(
        f"the decoded images cannot be written to {folder}. Give a folder that can be written: data.cache_dir=DIR"
    )


def _open(folder: Path, source: Source, changed: npt.NDArray[np.int64]) -> ImageTable | None:
    """The images in the cache ``folder``; None where it does not exist, is damaged, or is older than an image."""
    file, shape = folder / "pixels", source.shape
    try:
        facts = json.loads((folder / "facts.json").read_text())
        if file.stat().st_size != _stored_bytes(source) or facts["checksum"] != _checksum(folder):
            return None
        if content.is_stale(folder, source.files, changed):
            return None
        pixels = _mapped(file, shape) if source.unstored is None else source.unstored
        target, moments = np.load(folder / "target.npy"), np.load(folder / "moments.npy")
        corrupt = dict(zip(facts["broken"], facts["reasons"], strict=True))
        contents = np.resize(np.load(folder / content.CONTENTS), shape[0])  # of all files where some hold many images
        return ImageTable(pixels, target, facts["names"], moments, contents, corrupt, facts["note"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mapped(file: Path, shape: tuple[int, int, int, int]) -> torch.Tensor:
    # Read-only: Linux refuses a copy-on-write mapping that is larger than the machine's memory.
    mapped = np.memmap(file, np.uint8, "r", shape=shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has no read-only tensors; this one is never written to
        return torch.from_numpy(mapped)


def _stored_bytes(source: Source) -> int:
    return int(np.prod(source.shape)) if source.unstored is None else 0


def _checksum(folder: Path) -> int:
    """The checksum of labels, moments and pixels; of many pixels, that of evenly spread samples."""
    path, value = folder / "pixels", 0
    for name in ("target.npy", "moments.npy"):
        value = zlib.crc32((folder / name).read_bytes(), value)
    blocks = -(-path.stat().st_size // SAMPLE_BYTES)
    spread = {round(i * (blocks - 1) / (SAMPLES - 1)) for i in range(SAMPLES)}
    with open(path, "rb") as file:
        for block in sorted(spread) if blocks > SAMPLES else range(blocks):
            file.seek(block * SAMPLE_BYTES)
            value = zlib.crc32(file.read(SAMPLE_BYTES), value)
    return value


def _build(folder: Path, source: Source) -> None:
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    for abandoned in folder.parent.glob(f"{folder.name}.*.tmp"):  # by a process that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    size = f"{(mebibytes := _stored_bytes(source) / 2**20):,.0f} MiB"
    if mebibytes > ANNOUNCED:
        print(f"decoding images to {size} in {folder.parent}; data.cache_dir=DIR puts them elsewhere.", file=sys.stderr)
    target, names, images = source.read()
    try:
        temporary.mkdir()
        content.store(temporary, source.files)
        moments, corrupt = _write_pixels(temporary / "pixels", images, source)
        np.save(temporary / "target.npy", target)
        np.save(temporary / "moments.npy", moments)
        facts = {"names": list(names), "broken": list(corrupt), "reasons": list(corrupt.values())}
        facts |= {"note": dark_images(source.maxima), "checksum": _checksum(temporary)}
        (temporary / "facts.json").write_text(json.dumps(facts))
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        temporary.rename(folder)
    except OSError as error:
        raise UserError(
            f"the decoded images ({size}) cannot be written to {folder.parent}: "
            f"{error.strerror or error}. Free some space, or give another folder: data.cache_dir=DIR"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_pixels(
    path: Path, images: Iterable[Pixels | str], source: Source
) -> tuple[npt.NDArray[np.float64], dict[int, str]]:
    """Write the pixels of all images, zeros for corrupt ones; returns their moments, and why files are corrupt.

    Nothing is written for a source without stored pixels.
    """
    shape, stored = source.shape, source.unstored is None
    moments, corrupt = np.zeros((shape[0], 2 * shape[1])), {}
    with open(path, "wb") as file:
        if stored and hasattr(os, "posix_fallocate"):  # if the disk is too small, fail now and not after hours
            os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
        for index, pixels in enumerate(tqdm(images, total=shape[0], unit="image", desc="decoding", disable=None)):
            if isinstance(pixels, str):
                corrupt[index] = pixels
                pixels = np.zeros(shape[1:], np.uint8)
            moments[index] = channel_moments(pixels[None])[0]
            if stored:
                file.write(pixels.data)
        file.flush()
        os.fsync(file.fileno())  # otherwise a power cut could leave the new name without the pixels
    return moments, corrupt
