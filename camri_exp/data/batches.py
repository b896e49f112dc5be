"""The batches of a split, gathered whole from the images in memory."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from camri_exp.data.images import Split


class Batches:
    """``count`` batches (images, target) of a split, in the order of ``sampler``; Lightning takes it for a loader.

    The order becomes a tensor beside the images once an epoch, so that no step makes a list of numbers or waits for the
    device, as a ``DataLoader`` would. Batches beyond the end of the order are empty.
    """

    batch_sampler = None  # Lightning asks whatever has a sampler for it, and before each epoch tells the sampler which

    def __init__(self, split: Split, batch_size: int, sampler: Iterable[int], count: int) -> None:
        self.split, self.batch_size, self.sampler, self.count = split, batch_size, sampler, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.tensor(list(self.sampler), dtype=torch.long, device=self.split.target.device)
        for number in range(self.count):
            chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield self.split.images.index_select(0, self.split.index[chosen]), self.split.target[chosen]
