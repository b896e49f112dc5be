"""Scaling: time per step against every size that can become large

A training step of the small CNN: loader, augmentation, head, CAMRI loss, backward and Adam, on random images of 32
pixels; one size varies, the others are fixed. The dashed line is proportional to the size. Small sizes cost as much as
the fixed part of the step; for large sizes the cost grows in proportion and no faster: with the batch size from the
start, because every image is computed, and with the feature dimension D and the number of classes K where the N x K x D
products of the head and the K x D weights of Adam outweigh the network. It does not grow with the number of important
classes, because margins are looked up per target, nor with the size of the data set, because a batch is gathered by
index, until the images no longer fit the caches. The ratio is the growth of the time from the second largest to the
largest size, divided by the growth of the size: 1 means proportional, less than 1 means slower than proportional.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._harness import Measurement, in_turn, seconds
from camri_exp.data.base import ImageDataModule
from camri_exp.data.storage import ImageTable, SplitView
from camri_exp.figures import style
from camri_exp.losses.camri import CAMRILoss
from camri_exp.models.cnns import SmallCNN
from camri_exp.models.heads import CosineHead
from camri_exp.models.lightning_speedups import keep_freed_memory

FIGURES = tuple(f"cost_{name}.png" for name in ("batch", "features", "classes", "important", "images"))
DOCS = Path(__file__).resolve().parents[2] / "docs" / "figures"
SMALL = {"batch": 64, "features": 128, "classes": 43, "important": 1, "images": 4096}
SIZES: dict[str, tuple[str, tuple[int, ...]]] = {
    "batch": ("N, images per batch", (16, 64, 256, 1024)),
    "features": ("D, features", (64, 512, 2048, 8192)),
    "classes": ("K, classes", (10, 100, 1000, 10_000)),
    "important": ("important classes", (1, 4, 16, 43)),
    "images": ("images in the data set", (1024, 8192, 65_536, 262_144)),
}


class RandomImages(ImageDataModule):
    """``images`` random images of 32 pixels, with crop and flip as for CIFAR-10."""

    def __init__(self, count: int, classes: int, batch_size: int) -> None:
        super().__init__(batch_size=batch_size, augmentation={"flip": True, "crop": 0.125})
        self.count, self.class_names = count, [str(k) for k in range(classes)]

    def load(self) -> dict[str, SplitView]:
        pixels = np.random.default_rng(0).integers(0, 256, (self.count, 3, 32, 32), dtype=np.uint8)
        target = np.arange(self.count) % len(self.class_names)
        split = ImageTable.in_memory(pixels, target, ["" for _ in target]).split(range(self.count))
        return {"train": split, "val": split, "test": split}


def step(batch: int, features: int, classes: int, important: int, images: int) -> Callable[[], Any]:
    """A function that does one training step of these sizes."""
    torch.manual_seed(0)
    data = RandomImages(max(images, classes), classes, batch)
    data.setup()
    mean, std = (torch.tensor(values)[:, None, None] * 255 for values in (data.mean, data.std))
    backbone = nn.Sequential(SmallCNN(), nn.Linear(128, features)).to(memory_format=torch.channels_last)
    head = CosineHead(features, classes)
    loss = CAMRILoss(num_classes=classes, important_class=list(range(important)), margin=0.2, scale=16)
    optimizer = torch.optim.Adam([*backbone.parameters(), *head.parameters()], fused=True)
    batches: Iterator[tuple[Tensor, ...]] = iter(())

    def run() -> None:
        nonlocal batches
        next_batch = next(batches, None)
        if next_batch is None or len(next_batch[1]) < batch:
            batches = iter(data.train_dataloader())
            next_batch = next(batches)
        pixels, target = next_batch
        pixels = ((data.augmentation(pixels) - mean) / std).contiguous(memory_format=torch.channels_last)
        value = loss(head(backbone(pixels)), target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return run


def measure(quick: bool) -> list[Measurement]:
    keep_freed_memory()  # as the trainer does
    measurements = []
    for name, (label, sizes) in SIZES.items():
        chosen = sizes[:2] if quick else sizes
        steps = {str(size): seconds(step(**SMALL | {name: size}), 1 if quick else 5) for size in chosen}
        times = in_turn(1 if quick else 7, **steps)
        varied = measurements_of(label, chosen, times)
        measurements += varied
        if not quick:
            draw(name, label, chosen, [measurement.ours for measurement in varied])
    return measurements


def measurements_of(label: str, sizes: tuple[int, ...], times: dict[str, list[float]]) -> list[Measurement]:
    """A measurement per size; the baseline of the largest is proportional growth from the second largest."""
    milliseconds = {size: [1e3 * t for t in times[str(size)]] for size in sizes}
    *smaller, last = sizes
    proportional = [t * last / smaller[-1] for t in milliseconds[smaller[-1]]]
    largest = (f"{label}: {last:,}", milliseconds[last], "ms", "proportional growth", proportional, "ratio <= 1.25")
    return [
        *(Measurement.of(f"{label}: {size:,}", milliseconds[size], "ms") for size in smaller),
        Measurement.of(*largest),
    ]


def draw(name: str, label: str, sizes: tuple[int, ...], milliseconds: list[float]) -> None:
    """Draw ``docs/figures/cost_NAME.png``: milliseconds per step against the size, and proportional growth dashed."""
    figure = style.new(3.6, 2.6)
    axes = figure.subplots()
    axes.loglog(sizes, milliseconds, marker="o", color=style.OTHER)
    axes.loglog(sizes, [milliseconds[-1] * size / sizes[-1] for size in sizes], "--", color=style.FAINT)
    axes.set(xlabel=label, ylabel="ms per step", ylim=(min(milliseconds) * 0.3, max(milliseconds) * 3))
    style.grid(axes)
    DOCS.mkdir(parents=True, exist_ok=True)
    style.save(figure, DOCS / f"cost_{name}.png")
