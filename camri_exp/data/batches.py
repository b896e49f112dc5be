"""Batches of the splits of a data set: what Lightning asks a data module for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DistributedSampler

from camri_exp.data.augment import Augmentation
from camri_exp.data.loader import InMemoryLoader
from camri_exp.data.oversample import Positions, repeated
from camri_exp.data.storage import SplitView
from camri_exp.data.transforms import Mixing


class Batches(pl.LightningDataModule):
    """The part of a data module that makes batches of its ``splits``: of images, or of features where there are some.

    Attributes:
        splits: the images of each split.
        larger: uint8 (N, C, H, W), the images of all splits at the size from which random crops are cut; None where
            they are cut from the images themselves.
        cache: whether the pixels of all images are stored; else they are decoded for each batch.
        features: of each split, where batches are made of features instead of images.
    """

    splits: dict[str, SplitView]
    class_names: list[str]
    batch_size: int
    seed: int
    views: int
    device: str
    augmentation: Augmentation
    mixing: Mixing
    oversample: Mapping[str, Any] | None
    larger: Tensor | None = None
    cache: bool = True
    features: dict[str, Tensor] | None = None

    def length(self, split: str) -> int:
        return len(self.splits[split].target)

    def augmented(self, index: Sequence[int] | slice = slice(None)) -> Tensor:
        """Training images (n, C, H, W) at the positions ``index``, changed at random; in 0..255."""
        view = self.splits["train"]
        images = view.images if self.larger is None else self.larger
        return self.augmentation(images[view.index[index]])

    def use_features(self, features: Mapping[str, Tensor]) -> None:
        """Make batches of these features (n, D) instead of images; of the training split (views * n, D), view by view.

        In epoch e, image i of the training split has the features of its view (i + e) mod ``views``.
        """
        self.features = dict(features)

    def inputs(self, split: str) -> SplitView:
        """The view of which the batches of a split are gathered: of images, or of features."""
        view = self.splits[split]
        if self.features is None:
            return replace(view, images=self.larger) if split == "train" and self.larger is not None else view
        index = torch.arange(len(view.target), device=view.target.device)
        return replace(view, images=self.features[split], index=index)

    def _move_to_gpu(self) -> None:
        """Move all images to the GPU that trains, which saves a copy per batch and the waiting for the CPU."""
        images = self.inputs("train").images
        if self.features is None and not self.cache:
            return
        if self.device == "cpu" or self.trainer is None or images.is_cuda:
            return
        device = self.trainer.strategy.root_device
        if device.type == "cuda" and images.nbytes <= torch.cuda.mem_get_info(device)[0] / 2:
            self.move_to(device)

    def move_to(self, device: torch.device) -> None:
        """Move what batches are gathered of to ``device``: the features where there are any, else the images."""
        if self.features is not None:
            self.features = {name: features.to(device) for name, features in self.features.items()}
            self.splits = {name: replace(view, target=view.target.to(device)) for name, view in self.splits.items()}
            return
        self.larger = None if self.larger is None else self.larger.to(device)
        on_gpu = self.splits["train"].images.to(device)
        self.splits = {name: split.to(on_gpu) for name, split in self.splits.items()}

    def train_dataloader(self) -> InMemoryLoader:
        self._move_to_gpu()
        sampler = self._sampler(self.splits["train"].target)
        # A last batch of one image is skipped, because batch norm cannot be trained on it.
        skipped = len(sampler) % self.batch_size == 1
        count = -(-len(sampler) // self.batch_size) - skipped
        views = 1 if self.features is None else self.views
        return InMemoryLoader(self.inputs("train"), self.batch_size, sampler, count, views=views)

    def _sampler(self, target: Tensor) -> "DistributedSampler[Any] | Positions":
        """Draws the positions of the training images, shuffled in each epoch; some of them more than once."""

        def shuffled(dataset: Any) -> "DistributedSampler[Any]":  # it uses the length of the dataset only
            return DistributedSampler(dataset, self._world_size, self._rank, shuffle=True, seed=self.seed)

        if self.oversample is None:
            return shuffled(target)
        positions = repeated(target.cpu().numpy(), self.class_names, **self.oversample)
        return Positions(shuffled(positions), positions)

    def val_dataloader(self) -> InMemoryLoader:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> InMemoryLoader:
        return self.evaluation_dataloader("test")

    def predict_dataloader(self) -> InMemoryLoader:
        """The calibration images: they are predicted when all is chosen."""
        return self.evaluation_dataloader("calibration")

    def evaluation_dataloader(self, split: str) -> InMemoryLoader:
        """A loader of the images rank, rank + world size, …, each once.

        All processes have the same number of batches, because they wait for each other.
        """
        length = self.length(split)
        count = -(-length // (self._world_size * self.batch_size))
        order = range(self._rank, length, self._world_size)
        return InMemoryLoader(self.inputs(split), self.batch_size, order, count, with_index=True)

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    def transfer_batch_to_device(
        self, batch: tuple[Tensor, ...], device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, ...]:
        """Move the tensors of ``batch``. Lightning's method searches nested collections for tensors at every step."""
        return tuple(tensor.to(device, non_blocking=True) for tensor in batch)

    def on_after_batch_transfer(self, batch: tuple[Tensor, ...], dataloader_idx: int) -> tuple[Tensor, ...]:
        """Augment training images; the model normalises."""
        if self.trainer is None or not self.trainer.training or self.features is not None:
            return batch
        images, target = batch
        images = self.augmentation(images)
        return self.mixing(images, target, len(self.class_names)) if self.mixing else (images, target)
