"""Finished runs for the tests of commands that need one."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camri_exp.train import main
from tests.conftest import QUICK
from tests.helpers.image_files import class_folders


def trained(into: Path, *overrides: object) -> Path:
    """Train in this process with ``into`` as the folder of the run, which is returned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(into.parent)
        patch.setattr(sys, "argv", ["camri_exp.train", *QUICK, f"hydra.run.dir={into}", *map(str, overrides)])
        main()
    return into


CLASSES = ("cat", "dog", "mouse")


def trained_on_folders(top: Path, count: int, *overrides: object) -> Path:
    """A small run on ``count`` images of each of ``CLASSES``, of which cat is the important one."""
    root = class_folders(top / "data", count=count, classes=CLASSES)
    small = ("data.image_size=8", "model=camri_cnn", "model.width=0.125", "important_class=cat")
    return trained(top / "run", *QUICK, "data=folder", f"data.root={root}", *overrides, *small)


def mixed_images(root: Path, count: int = 30) -> Path:
    """One folder per class, with images of various sizes, formats and modes; some are rotated by their EXIF tag."""
    random = np.random.default_rng(0)
    for label, name in enumerate(("dark", "light, very")):
        (root / name).mkdir(parents=True)
        for i in range(count):
            height, width = random.integers(9, 40, size=2)
            pixels = random.integers(0, 156, size=(height, width, 3)) + 100 * label
            image = Image.fromarray(pixels.astype(np.uint8))
            suffix, mode = (("png", "RGB"), ("jpg", "RGB"), ("png", "L"), ("png", "RGBA"), ("bmp", "P"))[i % 5]
            exif = image.getexif()
            exif[0x0112] = 6 if i % 5 == 1 else 1  # orientation
            image.convert(mode).save(root / name / f"{i:03}.{suffix}", **({"exif": exif} if suffix == "jpg" else {}))
    return root
