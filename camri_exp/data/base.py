"""Images to batches: a whole data set as uint8 tensors in memory, batches gathered by index, augmented whole."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DistributedSampler

from camri_exp.data import imbalance as profiles
from camri_exp.data.augment import Augmentation
from camri_exp.data.loader import InMemoryLoader
from camri_exp.data.storage import SplitView
from camri_exp.errors import UserError


class ImageDataModule(pl.LightningDataModule, ABC):
    """Base of all data sets. A subclass loads its splits in ``load``, and downloads in ``prepare_data`` if it can.

    After ``setup``: ``class_names``, ``class_counts`` (training split), ``channels``, ``image_size``, ``mean`` and
    ``std`` (a value a channel, of pixels in [0, 1], from the training split).

    Args:
        root: the folder that holds the data set.
        batch_size: images a batch (and process), in training and evaluation.
        image_size: height and width of the images.
        seed: of the order of the training images.
        augment: whether training images are changed at random, as ``augmentation`` says.
        augmentation: the fields of ``Augmentation``.
        imbalance: fewer training images of some classes; see ``camri_exp.data.imbalance``.
        device: where the images wait: ``cpu``, ``auto`` (on the GPU that trains, if all of them take less than half of
            its free memory).
        cache_dir: where decoded pictures are kept; null is beside them.
    """

    class_names: list[str]

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 64,
        image_size: int = 32,
        seed: int = 0,
        augment: bool = True,
        augmentation: Mapping[str, Any] | None = None,
        imbalance: Mapping[str, Any] | None = None,
        device: str = "auto",
        cache_dir: str | None = None,
    ) -> None:
        super().__init__()
        if device not in ("auto", "cpu"):
            raise ValueError(f"device={device}; expected auto or cpu")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}; expected at least 1")
        if imbalance is not None:
            profiles.check(imbalance)
        self.root, self.batch_size, self.image_size, self.seed = root, batch_size, image_size, seed
        self.augmentation = Augmentation(**augmentation or {}) if augment else Augmentation()
        self.imbalance, self.device, self.cache_dir = imbalance, device, cache_dir
        self.splits: dict[str, SplitView] = {}

    @abstractmethod
    def load(self) -> dict[str, SplitView]:
        """The splits train, val and test; sets ``class_names``."""

    def setup(self, stage: str | None = None) -> None:
        if self.splits:
            return
        splits = self.load()
        train = splits["train"]
        if self.imbalance is not None:
            train = train.subset(profiles.kept(train.target.numpy(), self.class_names, **self.imbalance))
        self._check(splits | {"train": train})
        self.class_counts: list[int] = torch.bincount(train.target, minlength=len(self.class_names)).tolist()
        self.channels = train.images.shape[1]
        mean, square = np.split(train.moments.mean(axis=0), 2)
        self.mean, self.std = tuple(mean.tolist()), tuple(np.sqrt((square - mean**2).clip(1e-6)).tolist())
        self.splits = splits | {"train": train}

    def _check(self, splits: dict[str, SplitView]) -> None:
        missing = set(range(len(self.class_names))) - set(splits["train"].target.tolist())
        if missing:
            names = ", ".join(repr(self.class_names[i]) for i in sorted(missing)[:5])
            raise UserError(f"no training picture of {names}. Every class needs some; {self.root} holds the data.")
        for name in ("val", "test"):
            if not len(splits[name].target):
                raise UserError(f"no picture for the {name} split. Add some; {self.root} holds the data.")

    def length(self, split: str) -> int:
        return len(self.splits[split].target)

    def names(self, split: str) -> Sequence[str]:
        return self.splits[split].names

    def groups(self, split: str) -> Sequence[str] | None:
        return self.splits[split].groups

    def images(self, split: str, index: Sequence[int] | slice = slice(None)) -> Tensor:
        """uint8 images (n, C, H, W) of a split, or those of the given positions."""
        chosen = self.splits[split]
        return chosen.images[chosen.index[index]]

    def _move_to_gpu(self) -> None:
        """All images to the GPU that trains: no copy a batch, no waiting for the CPU."""
        images = self.splits["train"].images
        if self.device == "cpu" or self.trainer is None or images.is_cuda:
            return
        device = self.trainer.strategy.root_device
        if device.type != "cuda" or images.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
            return
        on_gpu = images.to(device)
        self.splits = {name: split.to(on_gpu) for name, split in self.splits.items()}

    def train_dataloader(self) -> InMemoryLoader:
        self._move_to_gpu()
        train = self.splits["train"]
        whole = cast(Any, train.target)  # of which the sampler asks the length alone
        sampler: DistributedSampler[Any] = DistributedSampler(
            whole, self._world_size, self._rank, shuffle=True, seed=self.seed
        )
        # Batch norm cannot learn from a single image.
        lonely = len(sampler) % self.batch_size == 1
        return InMemoryLoader(train, self.batch_size, sampler, -(-len(sampler) // self.batch_size) - lonely)

    def val_dataloader(self) -> InMemoryLoader:
        return self._evaluation("val")

    def test_dataloader(self) -> InMemoryLoader:
        return self._evaluation("test")

    def _evaluation(self, split: str) -> InMemoryLoader:
        """Images rank, rank + world, … in order, none twice; every process has as many batches, and waits for all."""
        length = self.length(split)
        count = -(-length // (self._world_size * self.batch_size))
        order = range(self._rank, length, self._world_size)
        return InMemoryLoader(self.splits[split], self.batch_size, order, count, with_index=True)

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    def transfer_batch_to_device(
        self, batch: tuple[Tensor, ...], device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, ...]:
        """A tuple of tensors; Lightning's own method would search any collection for tensors at every step."""
        return tuple(tensor.to(device, non_blocking=True) for tensor in batch)

    def on_after_batch_transfer(self, batch: tuple[Tensor, ...], dataloader_idx: int) -> tuple[Tensor, ...]:
        """Augment training images; the model normalises."""
        if self.trainer is None or not self.trainer.training:
            return batch
        images, *rest = batch
        return self.augmentation(images), *rest
