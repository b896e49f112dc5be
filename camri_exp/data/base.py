"""Images to batches: a whole data set as uint8 tensors in memory, batches gathered by index, augmented whole."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from camri_exp.data import imbalance
from camri_exp.data.augment import Augmentation
from camri_exp.data.images import Split
from camri_exp.errors import UserError


class _Batches(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split.target)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.split.images[self.split.index[index]], self.split.target[index]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        chosen = torch.tensor(indices, dtype=torch.long, device=self.split.target.device)
        return self.split.images.index_select(0, self.split.index[chosen]), self.split.target[chosen]


class ShardedBatches(Sampler[list[int]]):
    """Batches of one process of an evaluation: images rank, rank + world, … in order, none twice.

    Every process yields the same number of batches (a last one may be empty), because each waits for the others.
    """

    def __init__(self, length: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.indices = range(rank, length, world_size)
        self.batch_size = batch_size
        self.count = -(-length // (world_size * batch_size))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        for number in range(self.count):
            yield list(self.indices[number * self.batch_size : (number + 1) * self.batch_size])


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
        self.root, self.batch_size, self.image_size, self.seed = root, batch_size, image_size, seed
        self.augmentation = Augmentation(**augmentation or {}) if augment else Augmentation()
        self.imbalance, self.device, self.cache_dir = imbalance, device, cache_dir
        self.splits: dict[str, Split] = {}

    @abstractmethod
    def load(self) -> dict[str, Split]:
        """The splits train, val and test; sets ``class_names``."""

    def setup(self, stage: str | None = None) -> None:
        if self.splits:
            return
        splits = self.load()
        train = splits["train"]
        if self.imbalance is not None:
            train = train.subset(imbalance.kept(train.target.numpy(), self.class_names, **self.imbalance))
        self._check(splits | {"train": train})
        self.class_counts: list[int] = torch.bincount(train.target, minlength=len(self.class_names)).tolist()
        self.channels = train.images.shape[1]
        mean, square = np.split(train.moments.mean(axis=0), 2)
        self.mean, self.std = tuple(mean.tolist()), tuple(np.sqrt((square - mean**2).clip(1e-6)).tolist())
        self.splits = splits | {"train": train}

    def _check(self, splits: dict[str, Split]) -> None:
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

    def train_dataloader(self) -> DataLoader[Any]:
        self._move_to_gpu()
        sampler: DistributedSampler[Any] = DistributedSampler(
            _Batches(self.splits["train"]), self._world_size, self._rank, shuffle=True, seed=self.seed
        )
        # Batch norm cannot learn from a single image.
        lonely = len(sampler) % self.batch_size == 1
        return DataLoader(
            _Batches(self.splits["train"]), self.batch_size, sampler=sampler, drop_last=lonely, collate_fn=_as_it_is
        )

    def val_dataloader(self) -> DataLoader[Any]:
        return self._evaluation("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self._evaluation("test")

    def _evaluation(self, split: str) -> DataLoader[Any]:
        batches = ShardedBatches(self.length(split), self.batch_size, self._rank, self._world_size)
        return DataLoader(_Batches(self.splits[split]), batch_sampler=batches, collate_fn=_as_it_is)

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], dataloader_idx: int) -> tuple[Tensor, Tensor]:
        images, target = batch
        if self.trainer is not None and self.trainer.training:
            images = self.augmentation(images)
        return self.normalize(images), target

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) to float32, with mean 0 and standard deviation 1 a channel over the training images."""
        mean = images.new_tensor(self.mean, dtype=torch.float32)[:, None, None] * 255
        std = images.new_tensor(self.std, dtype=torch.float32)[:, None, None] * 255
        return (images - mean) / std


def _as_it_is(batch: Any) -> Any:
    return batch
