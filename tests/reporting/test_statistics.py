"""Paired differences and their CIs against scipy's own tests."""

import math

import numpy as np
import pytest
from scipy import stats

from camri_exp.reporting.statistics import difference, half_width, seeds_needed


@pytest.mark.parametrize("n", [2, 3, 10, 40])
def test_paired_difference_is_that_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    mine, other = rng.uniform(size=n), rng.uniform(size=n)
    result = difference(dict(enumerate(mine)), dict(enumerate(other)))
    theirs = stats.ttest_rel(mine, other)
    low, high = theirs.confidence_interval(0.95)

    assert (result.low, result.high) == pytest.approx((low, high))
    assert result.mean == pytest.approx(np.mean(mine - other))
    assert result.sd == pytest.approx(np.std(mine - other, ddof=1))
    assert result.shown == (theirs.pvalue < 0.05)


def test_mean_of_one_method_is_that_of_scipy() -> None:
    values = np.array([0.7, 0.8, 0.75, 0.9])
    result = difference(dict(enumerate(values)))
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)

    assert (result.low, result.high) == pytest.approx(tuple(interval))


def test_only_common_seeds_are_paired() -> None:
    result = difference({0: 0.5, 1: 0.6, 7: 0.9}, {7: 0.4, 1: 0.5, 3: 0.0})

    assert result.n == 2
    assert result.mean == pytest.approx((0.1 + 0.5) / 2)


@pytest.mark.parametrize(("mine", "n"), [({}, 0), ({0: 0.5}, 1)])
def test_one_seed_has_no_interval(mine: dict[int, float], n: int) -> None:
    result = difference(mine, {0: 0.25})

    assert result.n == n
    assert not result.known
    assert not result.shown
    assert math.isnan(result.sd)


def test_seeds_needed_are_the_fewest_whose_ci_excludes_zero() -> None:
    change = difference({0: 0.01, 1: 0.05, 2: -0.01, 3: 0.03})
    needed = seeds_needed(change, most=100)

    assert needed is not None
    assert half_width(change.sd, needed) < change.mean <= half_width(change.sd, needed - 1)
    assert seeds_needed(change, most=needed - 1) is None
