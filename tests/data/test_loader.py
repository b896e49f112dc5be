"""Batches: every image once, in the order that the seed decides, from the GPU where all images fit there."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from camri_exp.data.digits import DigitsDataModule
from camri_exp.data.loader import InMemoryLoader

FREE = 1 << 20


class FakeImages:
    """Stands for the images where there is no GPU, and records the device that they are moved to."""

    is_cuda = False

    def __init__(self, images: torch.Tensor, nbytes: int) -> None:
        self.images, self.nbytes, self.moved_to = images, nbytes, ""

    def to(self, device: torch.device) -> torch.Tensor:
        self.moved_to = str(device)
        return self.images.to("meta")


def fitted(
    monkeypatch: pytest.MonkeyPatch, setting: str, device: str, nbytes: int
) -> tuple[DigitsDataModule, FakeImages]:
    """A data module with ``data.device=setting`` that trains on ``device``, and its images of ``nbytes`` bytes."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (FREE, 2 * FREE))
    data = DigitsDataModule(image_size=8, device=setting)
    data.setup()
    images: Any = FakeImages(data.splits["train"].images, nbytes)
    data.splits = {name: replace(split, images=images) for name, split in data.splits.items()}
    trainer: Any = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device(device)), global_rank=0, world_size=1
    )
    data.trainer = trainer
    data.train_dataloader()
    return data, images


def test_images_that_fit_move_to_the_gpu_that_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    data, images = fitted(monkeypatch, "auto", "cuda:1", FREE // 2)
    assert images.moved_to == "cuda:1"
    moved = {split.images for split in data.splits.values()}
    assert len(moved) == 1  # once, for all splits
    for split in data.splits.values():
        assert split.images.device == split.index.device == split.target.device == torch.device("meta")


@pytest.mark.parametrize(
    ("setting", "device", "nbytes"),
    [("cpu", "cuda:1", 1), ("auto", "cpu", 1), ("auto", "cuda:1", FREE // 2 + 1)],
    ids=["device=cpu", "no GPU", "too large"],
)
def test_otherwise_they_stay_in_memory(monkeypatch: pytest.MonkeyPatch, setting: str, device: str, nbytes: int) -> None:
    data, images = fitted(monkeypatch, setting, device, nbytes)
    assert not images.moved_to
    assert data.splits["train"].index.device.type == "cpu"


def digits(**settings: Any) -> DigitsDataModule:
    data = DigitsDataModule(image_size=8, batch_size=50, **settings)
    data.setup()
    return data


def order(seed: int) -> list[int]:
    """Sums of the pixels of the images of an epoch, in order."""
    return [int(image.long().sum()) for images, _ in digits(seed=seed).train_dataloader() for image in images]


def test_batches_hold_each_training_image_once_in_an_order_that_the_seed_decides() -> None:
    first, again, other = order(0), order(0), order(1)
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other)


@pytest.mark.parametrize("split", ["val", "test"])
def test_evaluation_batches_are_in_order_and_carry_the_index_of_each_image(split: str) -> None:
    data = digits()
    loader = data.val_dataloader() if split == "val" else data.test_dataloader()
    images, target, index = (torch.cat(parts) for parts in zip(*loader, strict=True))
    assert index.tolist() == list(range(data.length(split)))
    assert torch.equal(images, data.images(split))
    assert torch.equal(target, data.splits[split].target)


def test_the_index_is_that_of_the_split_in_any_order() -> None:
    data = digits()
    shuffled = torch.randperm(data.length("test"), generator=torch.Generator().manual_seed(0)).tolist()
    for images, target, index in InMemoryLoader(data.splits["test"], 50, shuffled, 8, with_index=True):
        assert torch.equal(images, data.images("test", index.tolist()))
        assert torch.equal(target, data.splits["test"].target[index])


def test_batches_beyond_the_end_of_the_order_are_empty() -> None:
    """Under DDP every process gives as many batches as the others, because each waits for all."""
    batches = list(InMemoryLoader(digits().splits["test"], 50, range(60), 3, with_index=True))
    assert [len(target) for _, target, _ in batches] == [50, 10, 0]
