"""Files that are written whole or not at all, locks between processes, and paths as the user would type them."""

import errno
import json
import math
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from camri_exp.errors import UserError

TEMPORARY = ".part-"
CLAIM, OWNER = ".claim", ".claimed_by"  # in the folder of a run: its lock, and the name of the process that has it


class UnwritableError(UserError, OSError):
    """A file that cannot be written. As an OSError, callers that know what the user can do may catch it."""

    def __str__(self) -> str:
        return f"{self.filename} cannot be written: {self.strerror or self.args[0]}. A file that was there is kept."


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of ``path`` that becomes ``path`` when the block ends without an error.

    The content is synced to the disk before the rename, because a power cut could otherwise leave the new name with
    empty content. The temporary name keeps the suffix, from which writers such as matplotlib take the format. A device
    or a pipe (``/dev/null``) is written to and never replaced.

    Raises:
        UnwritableError: the disk is full, or the folder cannot be written.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename not in (None, str(temporary), temporary):  # a file that the block reads
            raise
        raise UnwritableError(error.errno, error.strerror or str(error), str(path)) from error
    except RuntimeError as error:  # torch's zip writer, which does not say why it failed
        if "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
            raise
        raise UnwritableError(errno.EIO, "the disk may be full", str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def require_writable(folder: Path, advice: str) -> None:
    """Make ``folder``, and check that files can be written there, before the work that they are to hold.

    Raises:
        UserError: they cannot; the message ends in ``advice``.
    """
    probe = folder / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            probe.write_bytes(b"x")
        finally:
            probe.unlink(missing_ok=True)  # a full disk leaves it empty
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}. {advice}") from error


def remove_temporary(folder: Path) -> None:
    """Remove the temporary files that killed processes left in ``folder`` and its folders.

    Those of running processes stay, because an evaluation may be writing to the folder of a run.
    """
    for path in [*folder.glob(f"{TEMPORARY}*"), *folder.glob(f"*/{TEMPORARY}*")]:
        pid = path.name.removeprefix(TEMPORARY).partition("-")[0]
        linked = path.is_symlink() or path.parent.is_symlink()
        if pid.isdecimal() and path.is_file() and not linked and not _is_running(int(pid)):
            path.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    """Whether there is a process ``pid`` on this machine, other than this one."""
    if os.name != "posix":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return pid != os.getpid()


@contextmanager
def atomic_write(path: Path, mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    """Open ``path`` for writing; it changes only when the block ends without an error. Text is UTF-8."""
    if "b" not in mode:
        options = {"encoding": "utf-8", **options}
    with atomic_path(path) as temporary, open(temporary, mode, **options) as file:
        yield file


def write_json(path: Path, content: object) -> None:
    """Write ``content`` atomically as indented JSON; NaN and infinity become null, which JSON requires."""
    with atomic_write(path) as file:
        json.dump(without_nan(content), file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def without_nan(value: object) -> Any:
    """``value`` with None in place of NaN and infinity, in nested mappings and sequences too."""
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def locked(path: Path, advice: str, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file ``path`` during the block; yields whether this process has it.

    The lock ends with the process, however the process ends. Without ``wait`` the block runs at once, with False where
    another process holds the lock. The folder of ``path`` is made if necessary.

    Raises:
        UserError: the lock file cannot be created; the message ends in ``advice``.
    """
    lock = FileLock(path, timeout=-1 if wait else 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise UserError(f"{path.parent} cannot be written: {error.strerror or error}. {advice}") from error
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def claimed(folder: Path, advice: str) -> Iterator[str | None]:
    """Claim ``folder`` for this process during the block; yields None, or else a description of who has it.

    Temporary files that a killed process left there are removed.

    Raises:
        UserError: the folder cannot be written; the message ends in ``advice``.
    """
    owner = folder / OWNER
    with locked(folder / CLAIM, advice, wait=False) as mine:
        if not mine:
            yield _read_owner(owner)
            return
        try:
            remove_temporary(folder)
            owner.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror or error}. {advice}") from error
        try:
            yield None
        finally:
            owner.unlink(missing_ok=True)


def is_claimed(folder: Path) -> bool:
    """Whether a process, here or on another machine, works in ``folder``.

    The lock is tried only where an owner has written its name, because a process that claims the folder at that moment
    would find it taken. A killed process leaves its name and loses its lock.
    """
    path = folder / CLAIM
    if not (folder / OWNER).is_file() or path.is_symlink():
        return False
    try:
        with locked(path, "", wait=False) as free:
            return not free
    except UserError:  # a folder that only its owner can write
        return False


def _read_owner(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:200] or "another process"
    except OSError:  # it has just claimed the folder, or has just finished
        return "another process"


def refuse_links(folder: Path) -> None:
    """Refuse to write into a folder of a run that holds links, which could lead anywhere.

    Looked at are the folder's entries and those of its own folders, but not what W&B keeps in ``wandb``.

    Raises:
        UserError: a link.
    """
    folders = [folder, *(folder / name for name in ("checkpoints", "figures"))]
    for entry in (entry for place in folders if place.is_dir() for entry in sorted(place.iterdir())):
        if entry.is_symlink():
            raise UserError(
                f"{display_path(entry)} is a link: nothing is written into a folder with links. Remove it, or replace "
                "it by a copy of its target."
            )


def display_path(path: Path) -> Path:
    """``path`` as a command given in the current folder would name it: relative where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
