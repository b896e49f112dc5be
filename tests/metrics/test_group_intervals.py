"""Intervals and tests over groups, by simulation and against other ways to compute them."""

import itertools

import numpy as np
import pytest
from scipy import stats

from camri_exp.metrics.group_intervals import beta_binomial, group_interval
from camri_exp.metrics.intervals import cluster_bootstrap, paired, wilson
from camri_exp.metrics.sign_flips import sign_flips


def drawn(rng: np.random.Generator, groups: int, size: int, share: float, correlation: float) -> np.ndarray:
    scale = (1 - correlation) / correlation
    return rng.random((groups, size)) < rng.beta(share * scale, (1 - share) * scale, (groups, 1))


@pytest.mark.parametrize(("groups", "size"), [(3, 30), (10, 30), (40, 10)])
def test_group_intervals_cover_where_the_others_do_not(groups: int, size: int) -> None:
    rng, covered = np.random.default_rng(groups), []
    member = np.repeat(np.arange(groups), size)
    for _ in range(60):
        hits = drawn(rng, groups, size, 0.8, 0.4).ravel()
        made = group_interval(hits, member), wilson(int(hits.sum()), len(hits))
        covered.append([interval.low <= 0.8 <= interval.high for interval in made])
    mine, independent = np.mean(covered, axis=0)
    assert mine >= 0.9
    assert independent < 0.75


def test_images_that_are_groups_of_one_have_nearly_the_interval_of_jeffreys() -> None:
    low, high = beta_binomial(np.arange(50) < 40, np.arange(50))
    assert (low, high) == pytest.approx(stats.beta.ppf([0.025, 0.975], 40.5, 10.5), abs=0.01)


def test_the_wider_end_counts() -> None:
    hits = np.repeat(np.arange(20) > 1, 10)  # a tenth of the groups is lost altogether
    member = np.repeat(np.arange(20), 10)
    made, bootstrap = group_interval(hits, member), cluster_bootstrap(hits, member)
    assert made.low <= bootstrap.low
    assert made.high >= bootstrap.high
    assert made.value == pytest.approx(0.9)


def test_a_single_group_has_no_interval() -> None:
    assert np.isnan(group_interval(np.ones(5, bool), np.zeros(5)).low)


def test_sign_flips_are_those_of_every_combination() -> None:
    rng = np.random.default_rng(0)
    for groups in (3, 6):
        differences, member = rng.integers(-1, 2, groups * 4), np.repeat(np.arange(groups), 4)
        totals = differences.reshape(groups, 4).sum(1)
        flipped = [abs(np.dot(signs, totals)) for signs in itertools.product([-1, 1], repeat=groups)]
        assert sign_flips(differences, member) == pytest.approx(np.mean(np.array(flipped) >= abs(totals.sum())))


def test_equal_models_are_rarely_told_apart_in_groups() -> None:
    """McNemar's test, which takes frames of one sign as independent, does in half of the cases."""
    rng, rejected = np.random.default_rng(1), []
    member = np.repeat(np.arange(15), 30)
    for _ in range(60):
        mine, other = (drawn(rng, 15, 30, 0.8, 0.6).ravel() for _ in range(2))
        rejected.append([paired(mine, other, groups).p_value < 0.05 for groups in (member, None)])
    by_group, by_image = np.mean(rejected, axis=0)
    assert by_group < 0.13
    assert by_image > 0.3


def test_no_difference_is_a_p_value_of_one() -> None:
    assert sign_flips(np.zeros(6), np.arange(6)) == 1.0
