"""Intervals and tests for images that come in groups: frames of one sign, slices of one patient."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, logsumexp

from camri_exp.metrics.intervals import LEVEL, Interval, cluster_bootstrap

Array = npt.NDArray[Any]
SHARES = (np.arange(400) + 0.5) / 400
CORRELATIONS = (np.arange(60) + 0.5) / 60


def group_interval(hits: Array, groups: Array, level: float = LEVEL) -> Interval:
    """The share of ``hits`` (n,) with an interval over whole ``groups`` (n,): beta-binomial or bootstrap, the wider.

    The bootstrap is too narrow for a few groups, and the beta-binomial model where a few groups are lost altogether.
    NaN for a single group, whose spread is not known.
    """
    bootstrap = cluster_bootstrap(hits, groups, level)
    if np.isnan(bootstrap.low):
        return bootstrap
    low, high = beta_binomial(hits, groups, level)
    return Interval(bootstrap.value, min(low, bootstrap.low), max(high, bootstrap.high))


def beta_binomial(hits: Array, groups: Array, level: float = LEVEL) -> tuple[float, float]:
    """The equal-tailed posterior interval of the share of hits in new groups.

    Group g has hits ~ Binomial(n_g, p_g) with p_g ~ Beta(p (1-r)/r, (1-p) (1-r)/r), where r is the correlation within a
    group. The priors are Jeffreys' Beta(1/2, 1/2) for p and uniform for r; both are summed over a grid.
    """
    _, member = np.unique(groups, return_inverse=True)
    pairs, times = np.unique(
        np.stack([np.bincount(member, weights=hits), np.bincount(member)]), axis=1, return_counts=True
    )
    precision = (1 - CORRELATIONS) / CORRELATIONS
    a, b = SHARES[:, None] * precision, (1 - SHARES)[:, None] * precision
    log_posterior = -0.5 * np.log(SHARES * (1 - SHARES))[:, None] - np.zeros(len(CORRELATIONS))
    for (found, size), count in zip(pairs.T, times, strict=True):
        log_posterior = log_posterior + count * (betaln(a + found, b + size - found) - betaln(a, b))
    by_share = logsumexp(log_posterior, axis=1)
    cumulative = np.cumsum(np.exp(by_share - logsumexp(by_share)))
    ends = np.searchsorted(cumulative, [(1 - level) / 2, (1 + level) / 2])
    return float(SHARES[ends[0]] - 0.5 / len(SHARES)), float(SHARES[ends[1]] + 0.5 / len(SHARES))
