"""Paired comparison of two methods over their common seeds, and when a difference counts as shown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
POWER = 0.8
MOST_SEEDS = 200  # more seeds are not suggested
EQUAL = 1e-12  # differences that vary less than this are equal up to rounding


@dataclass(frozen=True)
class Difference:
    """Mean paired difference over ``n`` seeds, its sample standard deviation, and Student's 95 % CI of the mean.

    The CI speaks of new seeds on the same test images. It is NaN for fewer than two seeds, and where all differences
    are equal: two seeds that each find one image more show nothing, although their standard deviation is 0.
    """

    mean: float
    sd: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there is a CI."""
        return math.isfinite(self.low)

    @property
    def shown(self) -> bool:
        """Whether the CI excludes zero."""
        return self.known and (self.low > 0 or self.high < 0)

    @property
    def shown_gain(self) -> bool:
        """Whether the CI lies above zero."""
        return self.known and self.low > 0

    @property
    def p_value(self) -> float:
        """Student's two-sided test of a mean of zero; NaN without a CI."""
        if not self.known:
            return math.nan
        return float(2 * stats.t.sf(abs(self.mean) / (self.sd / math.sqrt(self.n)), self.n - 1))

    def above(self, bound: float) -> bool | None:
        """Whether the 95 % CI lies above ``bound``; None without a CI.

        It is the interval that is printed. A one-sided 95 % bound claimed too much in simulations: up to 9 %.
        """
        return self.low > bound if self.known else None

    def within(self, margin: float) -> bool | None:
        """Whether two one-sided tests show the mean to be between ``-margin`` and ``margin``; None without a CI.

        Schuirmann 1987. It is the only finding that two methods are equally good: a CI that contains zero is none.
        """
        return abs(self.mean) + self._one_sided() < margin if self.known else None

    def _one_sided(self) -> float:
        return float(stats.t.ppf(LEVEL, self.n - 1)) * self.sd / math.sqrt(self.n)


UNKNOWN = Difference(math.nan, math.nan, math.nan, math.nan, 0)


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
    sd = float(differences.std(ddof=1)) if n > 1 else math.nan
    if n < 2 or np.ptp(differences) < EQUAL:
        return Difference(mean, sd, math.nan, math.nan, n)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * sd / math.sqrt(n)
    return Difference(mean, sd, mean - half, mean + half, n)


def holm(p_values: Sequence[float], level: float = 1 - LEVEL) -> list[bool]:
    """Which hypotheses are rejected so that any false rejection has at most the probability ``level`` (Holm 1979).

    NaN is a hypothesis that was not tested.

    >>> holm([0.04, 0.01, float("nan")])
    [True, True, False]
    >>> holm([0.04, 0.03])
    [False, False]
    """
    rejected = [False] * len(p_values)
    tested = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    for rank, (p, index) in enumerate(tested):
        if p > level / (len(tested) - rank):
            break
        rejected[index] = True
    return rejected


def seeds_for_power(change: Difference, worth: float) -> int | None:
    """The fewest seeds with which a true difference of ``worth`` is shown with a probability of 80 %.

    For the standard deviation, its upper 80 % confidence limit ``sd sqrt((n - 1) / chi2(.2, n - 1))`` is used, because
    that of a few seeds is often too small. None without a CI, or if more than ``MOST_SEEDS`` are needed.
    """
    if not change.known:
        return None
    sd = change.sd * math.sqrt((change.n - 1) / stats.chi2.ppf(1 - POWER, change.n - 1))
    seeds = np.arange(2, MOST_SEEDS + 1)
    critical = stats.t.ppf((1 + LEVEL) / 2, seeds - 1)
    power = stats.nct.sf(critical, seeds - 1, worth * np.sqrt(seeds) / sd)
    enough = np.flatnonzero(power >= POWER)
    return int(seeds[enough[0]]) if len(enough) else None
