"""Batches: each image once, in the order that the seed says, from the GPU that trains if all images fit there."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from camri_exp.data.digits import DigitsDataModule

FREE = 1 << 20


class OnGPU:
    """Stands for images where there is no GPU: tells where they would go."""

    is_cuda = False

    def __init__(self, images: torch.Tensor, nbytes: int) -> None:
        self.images, self.nbytes, self.moved_to = images, nbytes, ""

    def to(self, device: torch.device) -> torch.Tensor:
        self.moved_to = str(device)
        return self.images.to("meta")


def fed(monkeypatch: pytest.MonkeyPatch, setting: str, device: str, nbytes: int) -> tuple[DigitsDataModule, OnGPU]:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (FREE, 2 * FREE))
    data = DigitsDataModule(image_size=8, device=setting)
    data.setup()
    images: Any = OnGPU(data.splits["train"].images, nbytes)
    data.splits = {name: replace(split, images=images) for name, split in data.splits.items()}
    trainer: Any = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device(device)), global_rank=0, world_size=1
    )
    data.trainer = trainer
    data.train_dataloader()
    return data, images


def test_images_that_fit_move_to_the_gpu_that_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    data, images = fed(monkeypatch, "auto", "cuda:1", FREE // 2)
    assert images.moved_to == "cuda:1"
    moved = {split.images for split in data.splits.values()}
    assert len(moved) == 1  # once, for all splits
    for split in data.splits.values():
        assert split.images.device == split.index.device == split.target.device == torch.device("meta")


@pytest.mark.parametrize(
    ("setting", "device", "nbytes"),
    [("cpu", "cuda:1", 1), ("auto", "cpu", 1), ("auto", "cuda:1", FREE // 2 + 1)],
    ids=["asked to stay", "no GPU", "too large"],
)
def test_else_they_stay(monkeypatch: pytest.MonkeyPatch, setting: str, device: str, nbytes: int) -> None:
    data, images = fed(monkeypatch, setting, device, nbytes)
    assert not images.moved_to
    assert data.splits["train"].index.device.type == "cpu"


def order(seed: int) -> list[int]:
    """Sums of the pixels of an epoch's images, in order."""
    data = DigitsDataModule(image_size=8, seed=seed, batch_size=50)
    data.setup()
    return [int(image.long().sum()) for images, _ in data.train_dataloader() for image in images]


def test_batches_hold_each_training_image_once_in_an_order_that_the_seed_decides() -> None:
    first, again, other = order(0), order(0), order(1)
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other)


def test_evaluation_batches_are_in_order() -> None:
    data = DigitsDataModule(image_size=8, batch_size=50)
    data.setup()
    images = torch.cat([images for images, _ in data.test_dataloader()])
    assert torch.equal(images, data.images("test"))
