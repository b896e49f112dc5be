"""Image files in the layouts of the data sets, for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

from camri_exp.data.gtsrb import TEST_CLASSES, TEST_IMAGES, TRAINING


def image_file(path: Path, seed: int = 0, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> Path:
    """Write an image of random pixels to ``path``, whose folder is made if necessary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path


def class_folders(root: Path, count: int = 30, classes: tuple[str, ...] = ("cat", "dog"), suffix: str = "png") -> Path:
    """Write one folder per class."""
    for label, name in enumerate(classes):
        for i in range(count):
            image_file(root / name / f"{i:03}.{suffix}", seed=1000 * label + i)
    return root


def split_folders(root: Path, classes: tuple[str, ...] = ("cat", "dog"), splits: dict[str, int] | None = None) -> Path:
    """Write one folder per class in each of train, val and test; ``splits`` are the images per class."""
    for number, (split, count) in enumerate((splits or {"train": 6, "val": 3, "test": 3}).items()):
        for label, name in enumerate(classes):
            for i in range(count):
                image_file(root / split / name / f"{i}.png", seed=10_000 * number + 100 * label + i)
    return root


def gtsrb(root: Path, classes: int = 3, tracks: int = 4, frames: int = 3) -> Path:
    """Write random images in GTSRB's layout; the first test image equals a training image."""
    folder = root / "gtsrb"
    for label in range(classes):
        for track in range(tracks):
            for frame in range(frames):
                name = f"{TRAINING['official'][0]}/{label:05}/{track:05}_{frame:05}.ppm"
                image_file(folder / name, seed=100 * label + 10 * track + frame)
    lines = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for i in range(2 * classes):
        image_file(folder / TEST_IMAGES / f"{i:05}.ppm", seed=0 if i == 0 else 5000 + i)
        lines.append(f"{i:05}.ppm;12;10;1;1;9;9;{i % classes}")
    (folder / TEST_CLASSES).write_text("\n".join(lines))
    return root


def awa2(root: Path, animals: tuple[str, ...] = ("antelope", "grizzly+bear"), count: int = 30) -> Path:
    """Write random images in AwA2's layout."""
    folder = root / "Animals_with_Attributes2"
    for label, animal in enumerate(animals):
        for i in range(count):
            image_file(
                folder / "JPEGImages" / animal / f"{animal}_{10001 + i}.jpg", seed=1000 * label + i, size=(40, 30)
            )
    (folder / "classes.txt").write_text("".join(f"{i:6}\t{name}\n" for i, name in enumerate(animals, start=1)))
    return root
