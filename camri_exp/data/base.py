"""Images to batches: a whole data set as uint8 tensors in memory, batches gathered by index, augmented whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from camri_exp.data.cache import moments


@dataclass(frozen=True)
class Split:
    """Some of the images of a data set, without a copy of them.

    Attributes:
        images: uint8 (M, C, H, W), those of all splits.
        index: int64 (n,), which of them are in this split.
        target: int64 (n,), their classes.
        names: n file names or other names.
        moments: float64 (n, 2C), mean and mean square of their channels.
        groups: n groups (the physical sign of a picture), where they are known.
    """

    images: Tensor
    index: Tensor
    target: Tensor
    names: Sequence[str]
    moments: npt.NDArray[np.float64]
    groups: Sequence[str] | None = None


@dataclass(frozen=True)
class Images:
    """All images of a data set with what is known of each, to be cut into splits."""

    pixels: Tensor
    target: npt.NDArray[np.int64]
    names: Sequence[str]
    moments: npt.NDArray[np.float64]
    groups: Sequence[str] | None = None

    @classmethod
    def in_memory(cls, pixels: npt.NDArray[np.uint8], target: npt.NDArray[Any], names: Sequence[str]) -> "Images":
        """Images that need no cache: uint8 (N, C, H, W)."""
        blocks = [moments(pixels[start : start + 4096]) for start in range(0, len(pixels), 4096)]
        return cls(torch.from_numpy(pixels), np.asarray(target, dtype=np.int64), names, np.concatenate(blocks))

    def split(self, index: Sequence[int] | npt.NDArray[np.int64]) -> Split:
        chosen = np.asarray(index, dtype=np.int64)
        groups = None if self.groups is None else [self.groups[i] for i in chosen]
        return Split(
            self.pixels,
            torch.from_numpy(chosen),
            torch.from_numpy(self.target[chosen]),
            [self.names[i] for i in chosen],
            self.moments[chosen],
            groups,
        )


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


class ImageDataModule(pl.LightningDataModule):
    """Base of all data sets. A subclass loads its splits in ``load`` and may augment in ``augment_batch``.

    After ``setup``: ``class_names``, ``class_counts`` (training split), ``channels``, ``image_size``, ``mean`` and
    ``std`` (a value a channel, of pixels in [0, 1], from the training split).

    Args:
        root: the folder that holds the data set.
        batch_size: images a batch (and process), in training and evaluation.
        image_size: height and width of the images.
        seed: of the order of the training images.
        augment: random changes of the training images.
    """

    class_names: list[str]

    def __init__(
        self, root: str | None = None, batch_size: int = 64, image_size: int = 32, seed: int = 0, augment: bool = True
    ) -> None:
        super().__init__()
        self.root, self.batch_size, self.image_size, self.seed, self.augment = (
            root,
            batch_size,
            image_size,
            seed,
            augment,
        )
        self.splits: dict[str, Split] = {}

    def load(self) -> dict[str, Split]:
        """The splits train, val and test; sets ``class_names``."""
        raise NotImplementedError

    def augment_batch(self, images: Tensor) -> Tensor:
        """Random changes of a training batch, float (N, C, H, W) in [0, 1]; none unless a data set has some."""
        return images

    def setup(self, stage: str | None = None) -> None:
        if self.splits:
            return
        self.splits = self.load()
        train = self.splits["train"]
        self.class_counts: list[int] = torch.bincount(train.target, minlength=len(self.class_names)).tolist()
        self.channels = train.images.shape[1]
        mean, square = np.split(train.moments.mean(axis=0), 2)
        self.mean, self.std = tuple(mean.tolist()), tuple(np.sqrt((square - mean**2).clip(1e-6)).tolist())

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

    def train_dataloader(self) -> DataLoader[Any]:
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
        if self.augment and self.trainer is not None and self.trainer.training:
            images = self.augment_batch(images)
        return self.normalize(images), target

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) to float32, with mean 0 and standard deviation 1 a channel over the training images."""
        mean = images.new_tensor(self.mean, dtype=torch.float32)[:, None, None] * 255
        std = images.new_tensor(self.std, dtype=torch.float32)[:, None, None] * 255
        return (images - mean) / std


def _as_it_is(batch: Any) -> Any:
    return batch
