"""Finished runs for the tests of what comes after training."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camri_exp.train import main
from tests.conftest import QUICK


def trained(into: Path, *overrides: object) -> Path:
    """Train in this process, in ``into``, which is returned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(into.parent)
        patch.setattr(sys, "argv", ["camri_exp.train", *QUICK, f"hydra.run.dir={into}", *map(str, overrides)])
        main()
    return into


def mixed_pictures(root: Path, count: int = 30) -> Path:
    """A folder a class, of pictures that differ in size, format and mode; one lies on its side and says so (EXIF)."""
    random = np.random.default_rng(0)
    for label, name in enumerate(("dark", "light, very")):
        (root / name).mkdir(parents=True)
        for i in range(count):
            height, width = random.integers(9, 40, size=2)
            pixels = random.integers(0, 156, size=(height, width, 3)) + 100 * label
            picture = Image.fromarray(pixels.astype(np.uint8))
            suffix, mode = (("png", "RGB"), ("jpg", "RGB"), ("png", "L"), ("png", "RGBA"), ("bmp", "P"))[i % 5]
            exif = picture.getexif()
            exif[0x0112] = 6 if i % 5 == 1 else 1  # orientation
            picture.convert(mode).save(root / name / f"{i:03}.{suffix}", **({"exif": exif} if suffix == "jpg" else {}))
    return root
