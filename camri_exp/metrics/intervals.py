"""How far a number may be off: intervals for one model, and for the difference of two on the same images."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[Any]
LEVEL = 0.95
DRAWS = 10_000
CHUNK = 500  # draws at a time: groups x draws stays small


@dataclass(frozen=True)
class Interval:
    value: float
    low: float
    high: float


def wilson(hits: int, count: int, level: float = LEVEL) -> Interval:
    """A proportion with Wilson's score interval (Wilson 1927); NaN without images.

    ``(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)``. Unlike p ± z·sd it stays in [0, 1], and does not claim
    certainty where all or none of few images are hit.

    >>> wilson(9, 10)
    Interval(value=0.9, low=0.5958499732047615, high=0.9821237869049271)
    """
    if not count:
        return Interval(np.nan, np.nan, np.nan)
    found = stats.binomtest(int(hits), int(count)).proportion_ci(level, method="wilson")
    return Interval(hits / count, float(found.low), float(found.high))


def cluster_bootstrap(
    values: Array,
    groups: Array,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """The mean of ``values`` (n,) with a percentile bootstrap interval over whole ``groups`` (n,).

    Whole groups are drawn with replacement (Field & Welsh 2007): pictures of one physical thing are nearly one
    picture, and taking them for independent samples makes intervals too narrow. Of a single group nothing is known:
    its interval is NaN. Where all values are equal the bootstrap sees no spread and would claim certainty: there the
    interval is Wilson's, with groups as samples; ``bounds`` are the least and largest value possible.
    """
    if not len(values):
        return Interval(np.nan, np.nan, np.nan)
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    if not member.any():
        return Interval(float(np.mean(values)), np.nan, np.nan)
    total, size = np.bincount(member, weights=values), np.bincount(member)
    if np.ptp(np.asarray(values, dtype=float)) == 0:
        return _all_alike(float(values[0]), len(size), level, bounds)
    random, count = np.random.default_rng(seed), len(size)
    means = []
    for start in range(0, draws, CHUNK):
        times = random.multinomial(count, np.full(count, 1 / count), min(CHUNK, draws - start))
        means.append((times @ total) / (times @ size))
    low, high = _percentiles(np.concatenate(means), level)
    return Interval(float(np.mean(values)), low, high)


def _all_alike(value: float, count: int, level: float, bounds: tuple[float, float]) -> Interval:
    """``count`` samples of one value: as many of the unseen as Wilson's interval of none in ``count`` allows may lie
    at either bound. Of hits this is Wilson's interval itself.
    """
    low, high = bounds
    unseen = wilson(0, count, level).high
    return Interval(value, value - unseen * (value - low), value + unseen * (high - value))


def _percentiles(draws: Array, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Paired:
    """Two models on the same images: ``difference`` is mine minus the other's, in share of images found.

    ``only_mine`` and ``only_other`` count the images that one alone has right; ``p_value`` is McNemar's exact test.
    """

    mine: float
    other: float
    difference: float
    low: float
    high: float
    only_mine: int
    only_other: int
    p_value: float
    images: int

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def paired(
    mine: Array, other: Array, groups: Array | None = None, level: float = LEVEL, draws: int = DRAWS, seed: int = 0
) -> Paired:
    """Compare hits (n,) of two models on the same n images.

    The interval is a percentile bootstrap of the mean difference: over images, or whole ``groups`` (n,) where given.
    Where all differences are equal it is Wilson's, as in ``cluster_bootstrap``: two models that agree on a few images
    are not known to be equally good.
    """
    mine, other = np.asarray(mine, dtype=bool), np.asarray(other, dtype=bool)
    only_mine, only_other, n = int((mine & ~other).sum()), int((other & ~mine).sum()), len(mine)
    if not n:
        return Paired(np.nan, np.nan, np.nan, np.nan, np.nan, 0, 0, np.nan, 0)
    differences, bounds = mine.astype(float) - other, (-1.0, 1.0)
    if groups is not None:
        interval = cluster_bootstrap(differences, groups, level, draws, seed, bounds)
        low, high = interval.low, interval.high
    elif np.ptp(differences) == 0:
        interval = _all_alike(float(differences[0]), n, level, bounds)
        low, high = interval.low, interval.high
    else:
        # Each image's difference is 1, -1 or 0: the bootstrap draws how many of each, not which.
        shares = [only_mine / n, only_other / n, 1 - (only_mine + only_other) / n]
        drawn = np.random.default_rng(seed).multinomial(n, shares, draws)
        low, high = _percentiles((drawn[:, 0] - drawn[:, 1]) / n, level)
    p_value = mcnemar_exact(only_mine, only_other)
    difference = (only_mine - only_other) / n
    return Paired(float(mine.mean()), float(other.mean()), difference, low, high, only_mine, only_other, p_value, n)


def mcnemar_exact(only_mine: int, only_other: int) -> float:
    """Two-sided p-value: were the images that one model alone has right shared out by a fair coin? (McNemar 1947)

    >>> mcnemar_exact(6, 0)
    0.03125
    """
    together = only_mine + only_other
    return float(stats.binomtest(only_mine, together, 0.5).pvalue) if together else 1.0


def align(names: Iterable[str], other: Iterable[str]) -> Array | None:
    """Where each of ``names`` stands in ``other``, (n,); None unless both name the same images, each once."""
    names, other = list(names), list(other)
    place = {name: index for index, name in enumerate(other)}
    if len(place) != len(other) or len(names) != len(other) or set(names) != set(place):
        return None
    return np.array([place[name] for name in names], dtype=np.int64)
