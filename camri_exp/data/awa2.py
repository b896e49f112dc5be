"""Animals with Attributes 2: 37,322 photographs of 50 animals (Xian et al. 2018)."""

import os
from pathlib import Path
from typing import Any

from camri_exp.data.download import Archive, fetch_and_unpack
from camri_exp.data.file_based import ImageFileDataModule
from camri_exp.data.hash_split import HashSplitDataModule
from camri_exp.data.splits import indices_by_split
from camri_exp.data.storage import SplitView
from camri_exp.errors import UserError

ARCHIVE = Archive("https://cvml.ista.ac.at/AwA2/AwA2-data.zip")  # its authors publish no checksum
FOLDER = "Animals_with_Attributes2"


class AwA2DataModule(HashSplitDataModule, ImageFileDataModule):
    """AwA2 below ``root/Animals_with_Attributes2``: ``classes.txt`` and ``JPEGImages/<class>/*.jpg``.

    The official splits separate classes, for zero-shot learning, and cannot be used for classification. Here the file
    name decides: let f be the first 8 bytes of its SHA-256, as a big-endian number, divided by 2^64. The image is test
    if f < 0.2, validation if 0.2 <= f < 0.3, else training. That does not depend on any order, library or other file.

    Args:
        root: the parent of ``Animals_with_Attributes2``.
        image_size: 64; 224 for pretrained backbones.
        on_error: ``stop`` at corrupt image files, or ``skip`` them.
        rest: see ``HashSplitDataModule`` and ``ImageFileDataModule``.

    Raises:
        UserError: the data is missing and cannot be downloaded, or is incomplete.
    """

    def __init__(self, root: str, image_size: int = 64, on_error: str = "stop", **rest: Any) -> None:
        super().__init__(root=root, image_size=image_size, **rest)
        self.folder, self.on_error = Path(root) / FOLDER, on_error

    def prepare_data(self) -> None:
        try:
            fetch_and_unpack({f"{FOLDER}/JPEGImages": ARCHIVE}, self.folder.parent)
        except UserError as error:
            raise UserError(
                f"AwA2 is not in {self.folder}, and {error}. To install it manually, unpack {ARCHIVE.url} (13 GB) in "
                f"{self.folder.parent}, or give its location: data.root=DIR"
            ) from error

    def load(self) -> dict[str, SplitView]:
        self.class_names = self._classes()
        files = [
            (f"{animal}/{name}", label)
            for label, animal in enumerate(self.class_names)
            for name in sorted(os.listdir(self.folder / "JPEGImages" / animal))
            if name.endswith(".jpg")
        ]
        names = [name for name, _ in files]
        self.files_below = self.folder / "JPEGImages"
        paths = [os.path.join(self.folder, "JPEGImages", name) for name in names]
        images = self.read(paths, [label for _, label in files], names, self.folder, self.on_error)
        splits = [self.rule(Path(name).name) for name in names]
        return {split: images.split(index) for split, index in indices_by_split(splits).items()}

    def _classes(self) -> list[str]:
        try:
            lines = (self.folder / "classes.txt").read_text().splitlines()
        except OSError as error:
            raise UserError(f"{self.folder / 'classes.txt'} cannot be read: {error.strerror}.") from error
        names = [line.split()[-1] for line in lines if line.strip()]
        missing = [name for name in names if not (self.folder / "JPEGImages" / name).is_dir()]
        if missing or not names:
            raise UserError(
                f"{self.folder / 'JPEGImages'} lacks the folders of {', '.join(missing[:3]) or 'all classes'}."
            )
        return names
