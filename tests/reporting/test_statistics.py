"""Paired differences, their CIs and the rules of decision, against scipy and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from camri_exp.reporting.statistics import difference, holm, seeds_for_power


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
    assert result.p_value == pytest.approx(theirs.pvalue)
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


def test_equal_differences_have_no_interval() -> None:
    """Two seeds that each find one image of 35 more show nothing, although the standard deviation is 0."""
    result = difference({0: 30 / 35, 1: 31 / 35}, {0: 29 / 35, 1: 30 / 35})

    assert result.mean == pytest.approx(1 / 35)
    assert not result.known
    assert not result.shown_gain
    assert result.above(-1.0) is None
    assert result.within(1.0) is None
    assert math.isnan(result.p_value)


def test_bounds_are_those_of_scipy() -> None:
    values = np.array([0.01, 0.03, -0.01, 0.02, 0.015])
    result = difference(dict(enumerate(values)))
    for margin in (0.001, 0.005, 0.02, 0.03):
        lower = stats.ttest_1samp(values, -margin, alternative="greater").pvalue < 0.05
        upper = stats.ttest_1samp(values, margin, alternative="less").pvalue < 0.05
        above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue < 0.025
        assert result.above(-margin) == above
        assert result.within(margin) == (lower and upper)


def test_a_wide_interval_around_zero_is_not_equivalence() -> None:
    assert difference({0: 0.1, 1: -0.1, 2: 0.0}).within(0.02) is False
    assert difference({0: 0.001, 1: -0.001, 2: 0.0, 3: 0.0005}).within(0.02) is True


def test_holm_rejects_by_increasing_p_value_until_the_first_that_fails() -> None:
    assert holm([0.01, 0.04, 0.03]) == [True, False, False]
    assert holm([0.04, math.nan]) == [True, False]
    assert holm([0.012, 0.02, 0.04, 0.001]) == [True, True, True, True]
    assert holm([]) == []


@pytest.mark.parametrize("n", [3, 5, 10])
def test_planned_seeds_have_the_promised_power(n: int) -> None:
    """With the upper limit of the standard deviation, the power is at least 80 % in about 80 % of the plans."""
    rng, powers = np.random.default_rng(n), []
    for _ in range(200):
        needed = seeds_for_power(difference(dict(enumerate(rng.normal(0, 0.02, n)))), worth=0.02)
        seeds = 201 if needed is None else needed
        critical = stats.t.ppf(0.975, seeds - 1)
        powers.append(stats.nct.sf(critical, seeds - 1, 0.02 * np.sqrt(seeds) / 0.02))
    assert 0.72 < np.mean(np.array(powers) >= 0.8) < 0.9


def test_no_plan_without_a_spread() -> None:
    assert seeds_for_power(difference({0: 0.1}), 0.02) is None
    assert seeds_for_power(difference({0: 0.9, 1: -0.9}), 0.02) is None
