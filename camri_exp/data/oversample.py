"""Images of some classes that are drawn more often in training."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import DistributedSampler, Sampler

from camri_exp.data.class_ids import resolve_class_ids
from camri_exp.data.settings import check_settings
from camri_exp.errors import UserError


def repeated(
    target: npt.NDArray[np.int64],
    class_names: Sequence[str],
    class_name: int | str | list[int | str],
    factor: float | list[float],
    seed: int = 0,
) -> npt.NDArray[np.int64]:
    """Positions (M,) of the training images in which those of the named classes appear ``factor`` times.

    Of a factor of 2.5, every image appears twice and half of them, the same in each epoch, once more.

    Args:
        target: classes (N,).
        class_names: the names of all classes, by id.
        class_name: an id, a name, or a list.
        factor: at least 1; one number, or one per class.
        seed: selects the images for the fraction of a factor.

    Raises:
        UserError: an unknown class, a factor below 1, or another number of factors than of classes.
    """
    ids = resolve_class_ids(class_name, class_names, "data", key="data.oversample.class_name")
    factors = np.broadcast_to(factor, len(ids)) if np.ndim(factor) == 0 else np.asarray(factor)
    if factors.shape != (len(ids),) or not (np.isfinite(factors) & (factors >= 1)).all():
        raise UserError(f"data.oversample.factor={factor}; expected a number of at least 1, or one per class.")
    times = np.ones(len(target), dtype=np.int64)
    for label, value in zip(ids, factors.tolist(), strict=True):
        members = np.flatnonzero(target == label)
        times[members] = int(value)
        chosen = np.random.default_rng([seed, label]).permutation(members)
        times[chosen[: round((value - int(value)) * len(members))]] += 1
    return np.repeat(np.arange(len(target)), times)


def check(settings: Mapping[str, object]) -> None:
    """Check that ``settings`` are arguments of ``repeated``, before any image is read.

    Raises:
        ValueError: an unknown or a missing key.
    """
    check_settings("oversample", repeated, settings, "class_name, factor and optionally seed")


class Positions(Sampler[int]):
    """The positions that ``sampler`` draws: its numbers are indices of ``positions``."""

    def __init__(self, sampler: "DistributedSampler[Any]", positions: npt.NDArray[np.int64]) -> None:
        self.sampler, self.positions = sampler, positions.tolist()

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[int]:
        return (self.positions[i] for i in self.sampler)

    def set_epoch(self, epoch: int) -> None:
        """Shuffle for this epoch; Lightning calls it."""
        self.sampler.set_epoch(epoch)

    @property
    def epoch(self) -> int:
        return self.sampler.epoch
