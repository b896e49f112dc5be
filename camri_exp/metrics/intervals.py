"""Confidence intervals for one model, and for the difference of two models on the same images."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from camri_exp.metrics.sign_flips import sign_flips
from camri_exp.records import Number

Array = npt.NDArray[Any]
LEVEL = 0.95
DRAWS = 10_000
CHUNK = 500  # draws at a time, so that the array groups x draws stays small


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval; NaN where unknown."""

    value: Number
    low: Number
    high: Number


def wilson(hits: int, count: int, level: float = LEVEL) -> Interval:
    """A proportion with Wilson's score interval (Wilson 1927); NaN without images.

    ``(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)``. Unlike p ± z·sd it stays in [0, 1], and it does not
    claim certainty where all or none of a few images are hits.

    >>> wilson(9, 10)
    Interval(value=0.9, low=0.5958499732047615, high=0.9821237869049271)
    """
    return _proportion(hits, count, level, "wilson")


def clopper_pearson(hits: int, count: int, level: float = LEVEL) -> Interval:
    """A proportion with the exact interval of Clopper & Pearson (1934), which never covers too little.

    >>> clopper_pearson(9, 10)
    Interval(value=0.9, low=0.5549838829718047, high=0.9974714214555375)
    """
    return _proportion(hits, count, level, "exact")


def _proportion(hits: int, count: int, level: float, method: str) -> Interval:
    if not count:
        return Interval(np.nan, np.nan, np.nan)
    ends = stats.binomtest(int(hits), int(count)).proportion_ci(level, method=method)
    return Interval(hits / count, float(ends.low), float(ends.high))


def cluster_bootstrap(
    values: Array,
    groups: Array,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """The mean of ``values`` (n,) with a percentile bootstrap interval over whole ``groups`` (n,).

    Whole groups are drawn with replacement (Field & Welsh 2007), because images of the same physical object are
    nearly identical, and treating them as independent samples makes intervals too narrow. The interval of a single
    group is NaN, because its spread is unknown. Where all values are equal, the bootstrap sees no spread and would
    claim certainty; there the interval is Wilson's, with groups as samples. ``bounds`` are the smallest and largest
    possible value.
    """
    if not len(values):
        return Interval(np.nan, np.nan, np.nan)
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    if not member.any():
        return Interval(float(np.mean(values)), np.nan, np.nan)
    total, size = np.bincount(member, weights=values), np.bincount(member)
    if np.ptp(np.asarray(values, dtype=float)) == 0:
        return _without_spread(float(values[0]), len(size), level, bounds)
    random, count = np.random.default_rng(seed), len(size)
    means = []
    for start in range(0, draws, CHUNK):
        times = random.multinomial(count, np.full(count, 1 / count), min(CHUNK, draws - start))
        means.append((times @ total) / (times @ size))
    low, high = _percentiles(np.concatenate(means), level)
    return Interval(float(np.mean(values)), low, high)


def _without_spread(value: float, count: int, level: float, bounds: tuple[float, float]) -> Interval:
    """The interval of a mean of ``count`` equal values.

    The share of values that may differ is the upper end of Wilson's interval for 0 of ``count``; each end of the
    interval assumes that all these lie at that bound. For hits (0 or 1) this is Wilson's interval itself.
    """
    low, high = bounds
    unseen = wilson(0, count, level).high
    return Interval(value, value - unseen * (value - low), value + unseen * (high - value))


def _percentiles(draws: Array, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Paired:
    """Two models on the same images: their shares of correct images, and ``difference``, mine minus the other's.

    ``low`` and ``high`` are the confidence interval of the difference. ``only_mine`` and ``only_other`` count the
    images that exactly one model classifies correctly; ``p_value`` is McNemar's exact test, for groups ``sign_flips``.
    """

    mine: Number
    other: Number
    difference: Number
    low: Number
    high: Number
    only_mine: int
    only_other: int
    p_value: Number
    images: int


def paired(
    mine: Array, other: Array, groups: Array | None = None, level: float = LEVEL, draws: int = DRAWS, seed: int = 0
) -> Paired:
    """Compare hits (n,) of two models on the same n images.

    The interval is a percentile bootstrap of the mean difference, over images or, where given, over whole ``groups``
    (n,). Where all differences are equal it is Wilson's, as in ``cluster_bootstrap``, because two models that agree on
    a few images are not known to be equally good.
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
        interval = _without_spread(float(differences[0]), n, level, bounds)
        low, high = interval.low, interval.high
    else:
        # Each difference is 1, -1 or 0, so that it suffices to draw how many there are of each.
        shares = [only_mine / n, only_other / n, 1 - (only_mine + only_other) / n]
        drawn = np.random.default_rng(seed).multinomial(n, shares, draws)
        low, high = _percentiles((drawn[:, 0] - drawn[:, 1]) / n, level)
    p_value = mcnemar_exact(only_mine, only_other) if groups is None else sign_flips(differences, groups)
    difference = (only_mine - only_other) / n
    return Paired(float(mine.mean()), float(other.mean()), difference, low, high, only_mine, only_other, p_value, n)


def mcnemar_exact(only_mine: int, only_other: int) -> float:
    """McNemar's exact test (1947): two-sided p-value that an image which only one model classifies correctly is
    equally likely to be either model's.

    >>> mcnemar_exact(6, 0)
    0.03125
    """
    discordant = only_mine + only_other
    return float(stats.binomtest(only_mine, discordant, 0.5).pvalue) if discordant else 1.0


def align(names: Iterable[str], other: Iterable[str]) -> Array | None:
    """The index (n,) of each of ``names`` in ``other``; None unless both hold the same names, each once."""
    names, other = list(names), list(other)
    index = {name: i for i, name in enumerate(other)}
    if len(index) != len(other) or len(names) != len(other) or set(names) != set(index):
        return None
    return np.array([index[name] for name in names], dtype=np.int64)
