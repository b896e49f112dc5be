"""Data: batches at memory speed

Training batches of 512 images of 32 x 32 pixels, gathered, augmented and normalised. torchvision: its transforms,
applied to each image as its data sets do it, behind a DataLoader with two workers. kornia: the same changes by its
batched pipeline, on batches gathered as ours are. The memory is that of a new process which maps decoded images.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import kornia.augmentation as K
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks._harness import Measurement, in_turn
from camri_exp.data.base import ImageDataModule
from camri_exp.data.storage import ImageTable, SplitView

BATCH, SIZE = 512, 32
LIKE_CIFAR10 = {"crop": 0.125, "flip": True}
LIKE_GTSRB = {"degrees": 10, "scale": 0.1, "shift": 0.1, "brightness": 0.3, "contrast": 0.3}
SETUP = """
import re, sys
from camri_exp.data.gtsrb import GTSRBDataModule
def private():  # MB
    return sum(map(int, re.findall(r"Private_\\w+: +(\\d+)", open("/proc/self/smaps_rollup").read()))) * 1024 / 1e6
data = GTSRBDataModule(sys.argv[1])
before = private()
data.setup()
print(private() - before)
"""


def measure(quick: bool) -> list[Measurement]:
    count, repeats = (2 * BATCH, 1) if quick else (20 * BATCH, 9)
    pixels = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    crops, signs = Noise(pixels, LIKE_CIFAR10), Noise(pixels, LIKE_GTSRB)
    crop = K.RandomCrop((SIZE, SIZE), padding=4, padding_mode="reflect"), K.RandomHorizontalFlip()
    affine = K.RandomAffine(10, (0.1, 0.1), (0.9, 1.1), padding_mode="border", p=1), K.ColorJiggle(0.3, 0.3, p=1)
    per_image = torchvision_loader(pixels, crops)
    speeds = in_turn(
        repeats,
        crops=speed(crops.batches),
        torchvision=speed(lambda: per_image),
        kornia=speed(lambda: by_kornia(crops, *crop)),
        signs=speed(signs.batches),
        kornia_signs=speed(lambda: by_kornia(signs, *affine)),
    )
    what = "crop, flip, normalise"
    return [
        Measurement.of(what, speeds["crops"], "images/s", "torchvision", speeds["torchvision"], "ratio >= 6"),
        Measurement.of(what, speeds["crops"], "images/s", "kornia", speeds["kornia"]),
        Measurement.of("affine, brightness, normalise", speeds["signs"], "images/s", "kornia", speeds["kornia_signs"]),
        *private_memory(1 if quick else 3),
    ]


class Noise(ImageDataModule):
    """Images of noise: all of them for training, one for each of the other splits, which must not be empty."""

    def __init__(self, pixels: Any, augmentation: dict[str, Any]) -> None:
        super().__init__(batch_size=BATCH, augmentation=augmentation)
        self.pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        self.setup()

    def load(self) -> dict[str, SplitView]:
        self.class_names = ["even", "odd"]
        count = len(self.pixels)
        images = ImageTable.in_memory(self.pixels, np.arange(count) % 2, list(map(str, range(count))))
        return {"train": images.split(range(count)), "val": images.split([0]), "test": images.split([1])}

    def batches(self) -> Iterable[tuple[Tensor, Tensor]]:
        """One epoch of training batches, augmented, and normalised as ``Classifier.forward`` does it."""
        mean, std = (torch.tensor(values)[:, None, None] * 255 for values in (self.mean, self.std))
        for images, target in self.train_dataloader():
            yield (self.augmentation(images) - mean) / std, target


def by_kornia(data: Noise, *changes: Any) -> Iterable[tuple[Tensor, Tensor]]:
    pipeline = K.AugmentationSequential(*changes, K.Normalize(data.mean, data.std), data_keys=["input"])
    for images, target in data.train_dataloader():
        yield pipeline(images / 255), target


class PerImage(Dataset[tuple[Tensor, int]]):
    """As ``torchvision.datasets.CIFAR10``: an array of pixels, of which each item becomes a PIL image."""

    def __init__(self, pixels: Any, transform: Callable[[Image.Image], Tensor]) -> None:
        self.pixels, self.transform = pixels, transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), index % 2


def torchvision_loader(pixels: Any, data: Noise) -> DataLoader[tuple[Tensor, Tensor]]:
    change = transforms.Compose(
        [
            transforms.RandomCrop(SIZE, padding=4, padding_mode="reflect"),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(data.mean, data.std),
        ]
    )
    return DataLoader(PerImage(pixels, change), BATCH, shuffle=True, num_workers=2, persistent_workers=True)


def speed(epoch: Callable[[], Iterable[tuple[Tensor, Tensor]]]) -> Callable[[], float]:
    """A measurement: images per second of one epoch."""

    def measure() -> float:
        begin = time.perf_counter()
        count = sum(len(target) for _, target in epoch())
        return count / (time.perf_counter() - begin)

    return measure


def private_memory(repeats: int) -> list[Measurement]:
    root = os.environ.get("CAMRI_DATA", "")
    if not (Path(root) / "gtsrb").is_dir():
        return []
    process = [sys.executable, "-c", SETUP, root]
    _, *megabytes = [float(subprocess.check_output(process, stderr=subprocess.PIPE)) for _ in range(1 + repeats)]
    return [Measurement.of("private memory that GTSRB's `setup()` adds", megabytes, "MB", target="ours <= 50")]
