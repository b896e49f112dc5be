"""Downloads of archives: resumed after an interruption, checked, and unpacked into their folder only."""

import hashlib
import http.client
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from camri_exp.errors import UserError
from camri_exp.files import locked

BLOCK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A zip file to download, and its MD5 sum where it is known; otherwise the checksums in the zip are used."""

    url: str
    md5: str | None = None

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def is_unpacked(self, folder: Path, content: str) -> bool:
        """Whether its ``content`` is complete in ``folder``. The archive is removed after all of it is unpacked."""
        return (folder / content).exists() and not (folder / self.name).exists()


def fetch_and_unpack(parts: Mapping[str, Archive], folder: Path) -> None:
    """Download the archives whose content is missing, check them, unpack them into ``folder``, and remove them.

    Of processes that start together (the jobs of a sweep, the ranks of DDP), the first downloads and the others wait.

    Args:
        parts: maps a path below ``folder`` to the archive that contains it.
        folder: where to unpack.

    Raises:
        UserError: no network, a damaged download, a full disk, or a zip with a path outside ``folder``.
    """
    if all(archive.is_unpacked(folder, content) for content, archive in parts.items()):
        return  # works in a read-only folder too
    with download_lock(folder):
        for content, archive in parts.items():
            if not archive.is_unpacked(folder, content):
                _fetch(archive, folder)


def download_lock(folder: Path) -> AbstractContextManager[bool]:
    """Keep other processes from downloading into ``folder`` at the same time."""
    return locked(folder / ".download.lock", "Give another folder: data.root=DIR")


def _fetch(archive: Archive, folder: Path) -> None:
    path = folder / archive.name
    try:
        _download(archive, path)
        _check(archive, path)
        unpack(path, folder)
    except (zipfile.BadZipFile, zlib.error) as error:
        path.unlink()  # otherwise every start would fail on it
        raise UserError(f"downloading {archive.url} failed: {error}. It was removed; start again.") from error
    except (OSError, http.client.HTTPException) as error:  # urllib's errors are OSErrors
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise UserError(f"downloading {archive.url} failed: {reason}") from error
    path.unlink()


def unpack(path: Path, folder: Path) -> None:
    """Unpack a zip into ``folder``.

    Raises:
        UserError: a path in the zip is outside ``folder``; then nothing is unpacked.
    """
    root = folder.resolve()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not (root / name).resolve().is_relative_to(root):
                raise UserError(
                    f"{path} was refused: its path {name!r} is outside the folder that it is unpacked into."
                )
        archive.extractall(root)


def _download(archive: Archive, path: Path) -> None:
    if path.exists():
        return
    part = path.with_name(path.name + ".part")
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(archive.url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: the partial file is complete
            raise
        part.rename(path)
        return
    with response:
        resumed = response.status == 206
        before = start if resumed else 0
        total = int(response.headers.get("Content-Length", 0)) + before
        bar = tqdm(total=total or None, initial=before, unit="B", unit_scale=True, desc=path.name, disable=None)
        with open(part, "ab" if resumed else "wb") as file, bar:
            while block := response.read(BLOCK):
                file.write(block)
                bar.update(len(block))
    if total and part.stat().st_size < total:
        raise OSError(f"the connection broke after {part.stat().st_size} of {total} bytes; start again to resume")
    part.rename(path)


def _check(archive: Archive, path: Path) -> None:
    if archive.md5 is None:
        return
    digest = hashlib.md5()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != archive.md5:
        path.unlink()
        raise UserError(f"downloading {archive.url} failed: its MD5 sum is not {archive.md5}. Start again.")
