"""Archives from the net: resumed where they broke off, checked, and unpacked nowhere but into their folder."""

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
    """A zip file on the net and its MD5 sum, where one is known; else the sums inside the zip must do."""

    url: str
    md5: str | None = None

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def is_unpacked(self, folder: Path, place: str) -> bool:
        """Whether its content, ``place``, is whole in ``folder``: the archive goes only after all of it is unpacked."""
        return (folder / place).exists() and not (folder / self.name).exists()


def fetch_and_unpack(parts: Mapping[str, Archive], folder: Path) -> None:
    """Download what is not there yet, check it, unpack it into ``folder``, and remove the archive.

    Processes that start together (the jobs of a sweep, the ranks of DDP) wait for the first, and find its work done.

    Args:
        parts: of each archive the place below ``folder`` that it unpacks to.

    Raises:
        UserError: no network, a damaged download, a full disk, or a zip whose paths climb out of ``folder``.
    """
    if all(archive.is_unpacked(folder, place) for place, archive in parts.items()):
        return  # the folder need not be one that can be written
    with download_lock(folder):
        for place, archive in parts.items():
            if not archive.is_unpacked(folder, place):
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
        path.unlink()  # kept, it would be met again at every start
        raise UserError(f"downloading {archive.url} failed: {error}. It was removed; start again.") from error
    except (OSError, http.client.HTTPException) as error:  # urllib's errors are OSErrors
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise UserError(f"downloading {archive.url} failed: {reason}") from error
    path.unlink()


def unpack(path: Path, folder: Path) -> None:
    """Unpack a zip; one with a path that leads out of ``folder`` is refused whole."""
    root = folder.resolve()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not (root / name).resolve().is_relative_to(root):
                raise UserError(f"{path} was refused: its path {name!r} leads out of the folder it is unpacked into.")
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
        if error.code != 416:  # 416: the part is whole already
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
        raise OSError(f"the connection broke after {part.stat().st_size} of {total} bytes; start again to go on")
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
