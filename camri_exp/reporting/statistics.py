"""Two methods over the seeds that both were run with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """Mean paired difference over ``n`` seeds, its sample standard deviation, and Student's interval for the mean."""

    mean: float
    sd: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there is an interval: it takes two seeds."""
        return math.isfinite(self.low)

    @property
    def shown(self) -> bool:
        """Whether the interval excludes zero."""
        return self.known and (self.low > 0 or self.high < 0)


def difference(mine: Mapping[int, float], other: Mapping[int, float] | None = None) -> Difference:
    """``mean_s (mine[s] - other[s]) ± t(.975, n - 1) sd / sqrt(n)`` over the common seeds.

    Without ``other``, the mean of ``mine`` itself.

    >>> difference({0: .9, 1: .8, 2: .7}, {0: .8, 1: .6, 3: .5}).n
    2
    """
    seeds = sorted(mine) if other is None else sorted(mine.keys() & other.keys())
    values = np.array([mine[seed] - (0.0 if other is None else other[seed]) for seed in seeds])
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    if n < 2:
        return Difference(mean, math.nan, math.nan, math.nan, n)
    sd = float(values.std(ddof=1))
    half = half_width(sd, n)
    return Difference(mean, sd, mean - half, mean + half, n)


def half_width(sd: float, n: int) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)


def seeds_needed(change: Difference, most: int) -> int | None:
    """The fewest seeds whose interval would exclude zero if mean and spread stay as they are; None above ``most``."""
    return next((n for n in range(2, most + 1) if half_width(change.sd, n) < abs(change.mean)), None)
