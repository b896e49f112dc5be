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
        views: V; the ``images`` of ``split`` are V views of its images, one after the other. In epoch e, the image at
            position i has its view (i + e) mod V, with e the ``epoch`` of the sampler.
    """

    # Lightning reads this attribute of loaders with a sampler, and sets the epoch of the sampler.
    batch_sampler = None

    def __init__(
        self,
        split: SplitView,
        batch_size: int,
        sampler: Iterable[int],
        count: int,
        with_index: bool = False,
        views: int = 1,
    ) -> None:
        self.split, self.batch_size, self.sampler, self.count = split, batch_size, sampler, count
        self.with_index, self.views = with_index, views

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        order = torch.tensor(list(self.sampler), dtype=torch.long, device=self.split.target.device)
        for number in range(self.count):
            index = order[number * self.batch_size : (number + 1) * self.batch_size]
            images = self.split.images.index_select(0, self._rows(index))
            yield images, self.split.target[index], *([index] if self.with_index else [])

    def _rows(self, index: Tensor) -> Tensor:
        """The rows of ``images`` of the positions ``index``."""
        if self.views == 1:
            return self.split.index[index]
        epoch = getattr(self.sampler, "epoch", 0)
        return (index + epoch) % self.views * len(self.split.target) + self.split.index[index]
