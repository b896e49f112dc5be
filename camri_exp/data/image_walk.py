"""The image files below a folder: one walk for training and prediction."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice

from PIL import Image

BLOCK = 10_000  # file names of a folder that are sorted at a time
# Folders of systems and programs, which hold copies and previews of images; names in lower case.
FOREIGN = {
    "__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found",
    "__pycache__", "@recycle", "@recently-snapshot", "@tmp", "recycler", "found.000",
}  # fmt: skip
FOREIGN_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
# Formats that Pillow recognises but cannot decode, or only by calling another program (Ghostscript for EPS).
UNREADABLE = {"HDF5", "GRIB", "BUFR", "MPEG", "WMF", "EPS"}
OnError = Callable[[str, OSError], None]
OnFolder = Callable[[str], None]


@dataclass
class LeftOut:
    """What a walk leaves out: files by suffix, files that are not regular ones, and hidden or foreign folders."""

    suffixes: Counter[str] = field(default_factory=Counter)
    special: int = 0
    folders: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.suffixes or self.special or self.folders)

    def __str__(self) -> str:
        """``.HEIC: 12 files, folders .ipynb_checkpoints: 1``; empty where nothing was left out."""
        parts = [f"{suffix}: {number} file{'s' * (number != 1)}" for suffix, number in self.suffixes.most_common()]
        if self.special:
            parts.append(f"pipes, sockets, devices and broken links: {self.special}")
        parts += [f"folders {name}: {number}" for name, number in self.folders.most_common()]
        return ", ".join(parts)


@cache
def readable_suffixes() -> frozenset[str]:
    """The suffixes, in lower case, of the formats that Pillow can decode here, not of those that it only knows."""
    known = Image.registered_extensions()
    formats = {*Image.OPEN, "MPO"} - UNREADABLE  # MPO is opened by the reader of JPEG
    return frozenset(suffix for suffix, name in known.items() if name in formats)


def is_foreign(folder: str) -> bool:
    """Whether a folder of this name is hidden, or belongs to a system or a program."""
    return folder.startswith(".") or folder.lower() in FOREIGN


def walk_images(top: str, left_out: LeftOut, on_error: OnError, on_link: OnFolder = lambda _: None) -> Iterator[str]:
    """The paths of the images below ``top``: regular files with a suffix that Pillow can decode.

    The files of a folder come before those of its subfolders, both sorted by name. Links to folders come last, and no
    folder is visited twice, so that loops of links end. In a folder of more than 10,000 files only blocks of that size
    are sorted, so that memory does not grow with the folder.

    Args:
        top: a folder.
        left_out: counts the files and folders that are left out.
        on_error: called with the path of a folder that cannot be read, and the error.
        on_link: called with the path of each link to a folder; it may raise an error.
    """
    waiting, links = [top], list[str]()
    seen: set[tuple[int, int]] = set()
    while waiting or links:
        folder, subfolders = waiting.pop() if waiting else links.pop(0), []
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                while block := sorted(islice(entries, BLOCK), key=lambda entry: entry.name):
                    for entry in block:
                        if entry.is_dir():
                            if is_foreign(entry.name):
                                left_out.folders[entry.name] += entry.name != ".camri_cache"
                            elif entry.is_symlink():
                                on_link(entry.path)
                                links.append(entry.path)
                            else:
                                subfolders.append(entry.path)
                        elif _is_image(entry, left_out):
                            yield entry.path
        except OSError as error:
            on_error(folder, error)
        waiting += reversed(subfolders)
    left_out.folders = +left_out.folders  # without zeros


def _is_image(entry: "os.DirEntry[str]", left_out: LeftOut) -> bool:
    if entry.name[0] == "." or entry.name.lower() in FOREIGN_FILES:
        return False
    suffix = os.path.splitext(entry.name)[1]
    if not entry.is_file():
        left_out.special += 1
    elif suffix.lower() in readable_suffixes():
        return True
    else:
        left_out.suffixes[suffix or "(no suffix)"] += 1
    return False
