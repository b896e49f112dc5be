"""Zip archives of runs: the same files give the same bytes, and nothing in an archive is trusted."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

from camri_exp.errors import UserError
from camri_exp.files import atomic_path
from camri_exp.results import PREDICTIONS, REFUSED, RESULT

RUNS, RANKING, MOVED = "runs", "ranking", "moved.json"
MEMBER = re.compile(rf"(?:{RUNS}|{RANKING})/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*/(?:{RESULT}|{MOVED}|{PREDICTIONS})")
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MOST_BYTES = 2**28  # after decompression
TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive can hold


def pack(folder: Path, archive: Path) -> None:
    """Write all files below ``folder`` to ``archive``: the same files give the same bytes (of the same zlib).

    Names are sorted, and times and permissions are fixed.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    with atomic_path(archive) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, TIMESTAMP)
            member.create_system, member.external_attr = 3, 0o644 << 16  # on every system as on Unix
            file.writestr(member, files[name].read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of ``archive`` below ``folder``.

    Nothing in the archive is trusted: only paths of the form of ``MEMBER`` are accepted, none of which leaves
    ``folder``, and at most ``MOST_BYTES`` bytes are written.

    Raises:
        UserError: the archive is damaged, or contains other files than those of runs.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = file.infolist()
            _check(members, archive)
            for member in members:
                path = folder / member.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                with file.open(member) as content:
                    # Without a size, a whole member would be decompressed before its size is compared.
                    path.write_bytes(content.read(member.file_size))
    except REFUSED as error:
        raise UserError(f"{archive} is damaged: {error}. Restore it: git checkout -- {archive}") from error


def _check(members: Sequence[zipfile.ZipInfo], archive: Path) -> None:
    for member in members:
        if not MEMBER.fullmatch(member.filename) or member.compress_type not in COMPRESSIONS:
            raise UserError(f"{archive} was refused: expected files of runs only, found {member.filename!r}.")
    if (size := sum(member.file_size for member in members)) > MOST_BYTES:
        raise UserError(f"{archive} was refused: its files have {size:,} bytes, expected at most {MOST_BYTES:,}.")
