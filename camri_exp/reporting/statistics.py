"""Paired comparison of two methods over their common seeds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """Mean paired difference over ``n`` seeds, its sample standard deviation, and Student's 95 % CI of the mean."""

    mean: float
    sd: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there is a CI, which requires two seeds."""
        return math.isfinite(self.low)

    @property
    def shown(self) -> bool:
        """Whether the CI excludes zero."""
        return self.known and (self.low > 0 or self.high < 0)

    @property
    def shown_gain(self) -> bool:
        """Whether the CI lies above zero."""
        return self.known and self.low > 0


def difference(values: Mapping[int, float], reference: Mapping[int, float] | None = None) -> Difference:
    """``mean_s (values[s] - reference[s]) ± t(.975, n - 1) sd / sqrt(n)`` over the common seeds s.

    Without ``reference``, the mean of ``values``.

    >>> difference({0: .9, 1: .8, 2: .7}, {0: .8, 1: .6, 3: .5}).n
    2
    """
    seeds = sorted(values) if reference is None else sorted(values.keys() & reference.keys())
    differences = np.array([values[seed] - (0.0 if reference is None else reference[seed]) for seed in seeds])
    n = len(differences)
    mean = float(differences.mean()) if n else math.nan
    if n < 2:
        return Difference(mean, math.nan, math.nan, math.nan, n)
    sd = float(differences.std(ddof=1))
    half = half_width(sd, n)
    return Difference(mean, sd, mean - half, mean + half, n)


def half_width(sd: float, n: int) -> float:
    """Half the width of Student's CI of a mean of ``n`` values."""
    return float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)


def seeds_needed(change: Difference, most: int) -> int | None:
    """The fewest seeds whose CI would exclude zero if mean and spread stay as they are; None above ``most``."""
    return next((n for n in range(2, most + 1) if half_width(change.sd, n) < abs(change.mean)), None)
