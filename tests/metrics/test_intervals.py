"""Confidence intervals and tests, against their formulas, scipy and brute force."""

import numpy as np
import pytest
from scipy import stats

from camri_exp.metrics.intervals import align, cluster_bootstrap, mcnemar_exact, paired, wilson


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (5, 5), (3, 10), (790, 1000)])
def test_wilson_is_its_formula(hits, count):
    p, z = hits / count, stats.norm.ppf(0.975)
    middle, half = p + z**2 / (2 * count), z * np.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    result = wilson(hits, count)
    scale = 1 + z**2 / count
    assert (result.low, result.high) == pytest.approx(((middle - half) / scale, (middle + half) / scale))
    assert 0 <= result.low <= p <= result.high <= 1


@pytest.mark.slow
def test_the_coverage_of_wilsons_interval():
    random = np.random.default_rng(0)
    covered = [(i := wilson(h, 50)).low <= 0.8 <= i.high for h in random.binomial(50, 0.8, 2000)]
    assert 0.93 < np.mean(covered) < 0.97


def test_the_interval_without_images_is_unknown():
    assert np.isnan(wilson(0, 0).low)


def test_mcnemar_is_the_binomial_test():
    for a, b in [(0, 0), (1, 0), (12, 3), (30, 30)]:
        tail = min(1.0, 2 * stats.binom.cdf(min(a, b), a + b, 0.5))
        assert mcnemar_exact(a, b) == pytest.approx(tail)
        assert mcnemar_exact(b, a) == mcnemar_exact(a, b)


def test_paired_against_a_plain_bootstrap():
    random = np.random.default_rng(1)
    mine, other = random.random(400) < 0.9, random.random(400) < 0.8
    result = paired(mine, other)
    drawn = random.integers(400, size=(4000, 400))
    means = (mine.astype(float) - other)[drawn].mean(1)
    assert result.difference == pytest.approx(mine.mean() - other.mean())
    assert (result.low, result.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.006)
    assert result.only_mine - result.only_other == mine.sum() - other.sum()
    assert result.p_value == mcnemar_exact(result.only_mine, result.only_other)


def test_exchanging_the_models_changes_the_sign():
    random = np.random.default_rng(2)
    mine, other = random.random(300) < 0.9, random.random(300) < 0.8
    there, back = paired(mine, other), paired(other, mine)
    assert there.difference == -back.difference
    assert there.p_value == back.p_value
    assert there.low == pytest.approx(-back.high, abs=0.01)


def test_equal_models_do_not_differ():
    hits = np.arange(50) % 3 > 0
    result = paired(hits, hits)
    assert (result.difference, result.p_value) == (0, 1)


def test_models_that_agree_on_few_images_are_not_known_to_be_equal():
    hits = np.arange(50) % 3 > 0
    result = paired(hits, hits)
    assert result.high == -result.low == pytest.approx(wilson(0, 50).high)
    by_group = paired(hits, hits, np.arange(50) // 10)
    assert by_group.high == -by_group.low == pytest.approx(wilson(0, 5).high)
    better = paired(np.ones(20), np.zeros(20))
    assert -1 < better.low < better.difference == better.high == 1


@pytest.mark.parametrize("hit", [0, 1])
def test_equal_groups_do_not_give_certainty(hit):
    result = cluster_bootstrap(np.full(90, hit), np.arange(90) // 30)
    expected = wilson(3 * hit, 3)
    assert (result.value, result.low, result.high) == pytest.approx((hit, expected.low, expected.high))
    assert result.high - result.low > 0.5


def test_groups_of_one_are_independent_images():
    random = np.random.default_rng(3)
    hits = random.random(500) < 0.7
    clustered = cluster_bootstrap(hits, np.arange(500))
    plain = wilson(hits.sum(), 500)
    assert (clustered.low, clustered.high) == pytest.approx((plain.low, plain.high), abs=0.006)


def test_thirty_copies_of_an_image_count_as_one_image():
    random = np.random.default_rng(4)
    signs = random.random(60) < 0.8
    hits, groups = np.repeat(signs, 30), np.repeat([f"track {i}" for i in range(60)], 30)
    clustered, naive, honest = cluster_bootstrap(hits, groups), wilson(hits.sum(), 1800), wilson(signs.sum(), 60)
    assert clustered.high - clustered.low > 4 * (naive.high - naive.low)
    assert clustered.high - clustered.low == pytest.approx(honest.high - honest.low, rel=0.15)


def test_cluster_bootstrap_against_drawing_groups():
    random = np.random.default_rng(5)
    groups = random.integers(12, size=200)
    values = random.random(200) + groups / 10
    means = []
    for _ in range(3000):
        chosen = random.integers(12, size=12)
        means.append(np.concatenate([values[groups == g] for g in chosen]).mean())
    result = cluster_bootstrap(values, groups)
    assert (result.low, result.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.02)


def test_the_same_call_gives_the_same_interval():
    hits = np.arange(90) % 4 > 0
    assert cluster_bootstrap(hits, np.arange(90) // 9) == cluster_bootstrap(hits, np.arange(90) // 9)


def test_align():
    assert align(["a", "b", "c"], ["c", "a", "b"]).tolist() == [1, 2, 0]
    assert align(["a", "b"], ["a", "c"]) is None
    assert align(["a", "a"], ["a", "a"]) is None
    assert align(["a"], ["a", "b"]) is None


def test_the_interval_of_a_single_group_is_unknown():
    result = cluster_bootstrap(np.array([1, 1, 0]), np.array(["a", "a", "a"]))
    assert result.value == pytest.approx(2 / 3)
    assert np.isnan([result.low, result.high]).all()
    difference = paired([1, 1, 0], [0, 1, 0], ["a", "a", "a"])
    assert difference.difference == pytest.approx(1 / 3)
    assert np.isnan(difference.low)
