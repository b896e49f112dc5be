"""Batches of a split, gathered from the images in memory."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from camri_exp.data.storage import SplitView


class InMemoryLoader:
    """A loader of ``count`` batches of a split, in the order of ``sampler``.

    The order becomes a tensor on the device of the images once per epoch, so that no step makes a list of numbers or
    waits for the device, as a ``DataLoader`` would. Batches beyond the end of the order are empty.

    Args:
        split: the images.
        batch_size: images per batch.
        sampler: positions in the split; iterated once per epoch.
        count: number of batches.
        with_index: whether batches are (images, target, index) rather than (images, target). ``index`` holds the
            positions of the images in the split, by which names and groups are joined.
    """

    # Lightning reads this attribute of loaders with a sampler, and sets the epoch of the sampler.
    batch_sampler = None

    def __init__(
        self, split: SplitView, batch_size: int, sampler: Iterable[int], count: int, with_index: bool = False
    ) -> None:
        self.split, self.batch_size, self.sampler, self.count = split, batch_size, sampler, count
        self.with_index = with_index

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        order = torch.tensor(list(self.sampler), dtype=torch.long, device=self.split.target.device)
        for number in range(self.count):
            index = order[number * self.batch_size : (number + 1) * self.batch_size]
            images = self.split.images.index_select(0, self.split.index[index])
            yield images, self.split.target[index], *([index] if self.with_index else [])
