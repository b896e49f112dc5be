"""How cost grows: time a step against everything that can become large

A training step of the small CNN: loader, augmentation, head, CAMRI loss, backward and Adam, on random pictures of
32 pixels; one size is varied, the others stay. Dashed: proportional to the size. Below some size a step costs what
its fixed part costs, above it grows in proportion and no faster: with the batch from the start (every picture is
computed), with the feature dimension D and the number of classes K where the head's N x K x D products and Adam's K x D
weights outweigh the network. It does not grow with the number of important classes (margins are looked up a target) nor
with the size of the data set (a batch is gathered by index), until the pictures no longer fit the caches.
The last column is the growth of the time where the size grows from its second largest to its largest value, over the
growth of the size: 1 is proportional, below 1 less than that.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks._frame import Row, in_turn, seconds
from camri_exp.data.base import ImageDataModule
from camri_exp.data.storage import ImageTable, SplitView
from camri_exp.figures import style
from camri_exp.losses.camri import CAMRILoss
from camri_exp.models import lightning_speedups as lean
from camri_exp.models.cnns import SmallCNN
from camri_exp.models.heads import CosineHead

FIGURES = tuple(f"cost_{name}.png" for name in ("batch", "features", "classes", "important", "pictures"))
DOCS = Path(__file__).resolve().parents[2] / "docs" / "figures"
PLAIN = {"batch": 64, "features": 128, "classes": 43, "important": 1, "pictures": 4096}
SIZES: dict[str, tuple[str, tuple[int, ...]]] = {
    "batch": ("N, pictures a batch", (16, 64, 256, 1024)),
    "features": ("D, features", (64, 512, 2048, 8192)),
    "classes": ("K, classes", (10, 100, 1000, 10_000)),
    "important": ("important classes", (1, 4, 16, 43)),
    "pictures": ("pictures in the data set", (1024, 8192, 65_536, 262_144)),
}


class Random(ImageDataModule):
    """``pictures`` random pictures of 32 pixels, crop and flip as for CIFAR-10."""

    def __init__(self, pictures: int, classes: int, batch_size: int) -> None:
        super().__init__(batch_size=batch_size, augmentation={"flip": True, "crop": 0.125})
        self.pictures, self.class_names = pictures, [str(k) for k in range(classes)]

    def load(self) -> dict[str, SplitView]:
        pixels = np.random.default_rng(0).integers(0, 256, (self.pictures, 3, 32, 32), dtype=np.uint8)
        target = np.arange(self.pictures) % len(self.class_names)
        split = ImageTable.in_memory(pixels, target, ["" for _ in target]).split(range(self.pictures))
        return {"train": split, "val": split, "test": split}


def step(batch: int, features: int, classes: int, important: int, pictures: int) -> Callable[[], Any]:
    """A training step of these sizes."""
    torch.manual_seed(0)
    data = Random(max(pictures, classes), classes, batch)
    data.setup()
    backbone = nn.Sequential(SmallCNN(), nn.Linear(128, features)).to(memory_format=torch.channels_last)
    head = CosineHead(features, classes)
    loss = CAMRILoss(num_classes=classes, important_class=list(range(important)), margin=0.2, scale=16)
    optimizer = torch.optim.Adam([*backbone.parameters(), *head.parameters()], fused=True)
    batches = iter(())

    def run() -> None:
        nonlocal batches
        found = next(batches, None)
        if found is None or len(found[1]) < batch:
            batches = iter(data.train_dataloader())
            found = next(batches)
        images, target = found
        images = data.normalize(data.augmentation(images)).contiguous(memory_format=torch.channels_last)
        value = loss(head(backbone(images)), target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return run


def measure(quick: bool) -> list[Row]:
    lean.keep_freed_memory()  # as the trainer does
    rows = []
    for name, (label, sizes) in SIZES.items():
        chosen = sizes[:2] if quick else sizes
        steps = {str(size): seconds(step(**PLAIN | {name: size}), 1 if quick else 5) for size in chosen}
        found = in_turn(1 if quick else 7, **steps)
        rows += rows_of(label, chosen, found)
        if not quick:
            draw(name, label, chosen, [float(np.median(found[str(size)])) for size in chosen])
    return rows


def rows_of(label: str, sizes: tuple[int, ...], found: dict[str, list[float]]) -> list[Row]:
    """A row a size; the largest is held against the proportional growth from the one before."""
    rows = [Row.of(f"{label}: {size:,}", [1e3 * s for s in found[str(size)]], "ms") for size in sizes[:-1]]
    before, last = sizes[-2], sizes[-1]
    proportional = [1e3 * s * last / before for s in found[str(before)]]
    ours = [1e3 * s for s in found[str(last)]]
    return [*rows, Row.of(f"{label}: {last:,}", ours, "ms", "proportional growth", proportional, "ratio <= 1.25")]


def draw(name: str, label: str, sizes: tuple[int, ...], times: list[float]) -> None:
    """``docs/figures/cost_NAME.png``: milliseconds a step against the size, and what proportional growth would be."""
    figure = style.new(3.6, 2.6)
    axes = figure.subplots()
    axes.loglog(sizes, [1e3 * t for t in times], marker="o", color=style.OTHER)
    axes.loglog(sizes, [1e3 * times[-1] * size / sizes[-1] for size in sizes], "--", color=style.FAINT)
    axes.set(xlabel=label, ylabel="ms a step", ylim=(min(times) * 300, max(times) * 3000))
    style.grid(axes)
    DOCS.mkdir(parents=True, exist_ok=True)
    style.save(figure, DOCS / f"cost_{name}.png")
