"""Batches of a split, gathered from the images in memory."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from camri_exp.data.storage import SplitView


class InMemoryLoader:
    """A loader of ``count`` batches of a split, in the order of ``sampler``.

    A batch is (images, target), and with ``with_index`` (images, target, index): the positions of the images in the
    split, by which names and groups are joined. The order becomes a tensor next to the images once per epoch, so that
    no step makes a list of numbers or waits for the device, as a ``DataLoader`` would. Batches beyond the end of the
    order are empty.
    """

    # Lightning asks every loader that has a sampler for its batch sampler, and sets the epoch of the sampler.
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
            chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
            images = self.split.images.index_select(0, self.split.index[chosen])
            index = (chosen,) if self.with_index else ()
            yield images, self.split.target[chosen], *index
