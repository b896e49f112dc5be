"""Tests of a promised recall: against numerical integration, scipy and simulation."""

import numpy as np
import pytest
from scipy import integrate, stats

from camri_exp.metrics import monitoring


@pytest.mark.parametrize(("found", "images"), [(0, 0), (3, 3), (0, 4), (17, 20), (90, 100), (400, 500)])
@pytest.mark.parametrize("recall", [0.5, 0.9, 0.99])
def test_the_e_value_is_the_mixture_of_likelihood_ratios(found, images, recall):
    def ratio(q):
        return np.exp(stats.binom.logpmf(found, images, q) - stats.binom.logpmf(found, images, recall)) / recall

    peak = min(max(found / max(images, 1), 1e-6), recall)
    expected, _ = integrate.quad(ratio, 0, recall, points=[peak], limit=200)
    assert monitoring.e_value(found, images, recall) == pytest.approx(expected, rel=1e-6)


def test_its_mean_is_at_most_one_where_the_recall_is_kept_whatever_the_number_of_images():
    for images in (1, 10, 200):
        counts = np.arange(images + 1)
        values = np.array([monitoring.e_value(found, images, 0.9) for found in counts])
        assert stats.binom.pmf(counts, images, 0.9) @ values == pytest.approx(1)
        assert stats.binom.pmf(counts, images, 0.93) @ values < 1
        assert images == 1 or stats.binom.pmf(counts, images, 0.5) @ values > 10


def test_looking_after_every_image_breaks_a_kept_promise_in_at_most_alpha_of_all_cases():
    random, images, runs = np.random.default_rng(0), 300, 400
    found = (random.random((runs, images)) < 0.9).cumsum(axis=1)
    looks, limits, limit = np.arange(1, images + 1), [], -1
    for n in looks:  # the largest number found with which the promise is broken; it grows with n
        while monitoring.e_value(limit + 1, n, 0.9) >= 20:
            limit += 1
        limits.append(limit)
    ever = (found <= np.array(limits)).any(axis=1).mean()
    exact = (stats.binom.cdf(found, looks, 0.9) <= 0.05).any(axis=1).mean()
    assert ever <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert exact > 0.15, "the exact test is for one look"


def test_a_recall_that_is_too_low_is_noticed():
    assert monitoring.e_value(170, 200, 0.95) > 1000
    assert monitoring.p_value(170, 200, 0.95) < 1e-6
    assert monitoring.e_value(190, 200, 0.95) < 1


@pytest.mark.parametrize(("found", "images"), [(5, 10), (90, 100), (1, 3), (0, 5), (7, 7)])
def test_the_bounds_are_the_largest_recalls_that_are_not_rejected(found, images):
    exact = monitoring.upper_bound(found, images, 0.95)
    anytime = monitoring.upper_bound_at_any_time(found, images, 0.95)
    if found == images:
        assert exact == anytime == 1
        return
    assert monitoring.p_value(found, images, exact) == pytest.approx(0.05)
    assert monitoring.e_value(found, images, anytime) == pytest.approx(20, rel=1e-6)
    assert found / images < exact < anytime < 1
