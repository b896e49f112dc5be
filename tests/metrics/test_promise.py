"""The promised recall, against scipy's quantiles, exact fractions and simulation."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from camri_exp.metrics import promise, threshold

RECALLS = (0.5, 0.8, 0.9, 0.95, 0.975, 0.98, 0.99)
CONFIDENCES = (0.8, 0.9, 0.95, 0.99)


def scores_of(d):
    """Scores (n, 2) of class 0 whose margins are ``d``."""
    return np.stack([np.zeros(len(d)), np.asarray(d, dtype=float)], axis=1)


def test_the_required_hits_are_scipys_quantiles():
    counts = [*range(1, 130), 200, 299, 300, 512, 1000, 5000]
    tried = 0
    for recall in RECALLS:
        for confidence in CONFIDENCES:
            quantile = stats.binom.ppf(confidence, counts, recall)  # min {x: P(Bin <= x) >= 1 - delta}
            for images, x in zip(counts, quantile, strict=True):
                expected = int(x) + 1 if x < images else None
                assert promise.required_hits(images, recall, confidence) == expected, (images, recall, confidence)
                tried += 1
    assert tried > 3500


@pytest.mark.parametrize("recall", ["0.8", "0.9", "0.95", "0.99"])
@pytest.mark.parametrize("confidence", ["0.9", "0.95"])
def test_the_required_hits_and_the_fewest_images_in_exact_fractions(recall, confidence):
    r, delta = Fraction(recall), 1 - Fraction(confidence)
    fewest = promise.fewest_images(float(recall), float(confidence))
    assert r**fewest <= delta < r ** (fewest - 1)
    assert promise.required_hits(fewest - 1, float(recall), float(confidence)) is None
    for images in (fewest, fewest + 1, 2 * fewest, 300):
        j = promise.required_hits(images, float(recall), float(confidence))
        tail = Fraction(0)
        for hits in range(images, j - 2, -1):
            tail += comb(images, hits) * r**hits * (1 - r) ** (images - hits)
            assert (tail <= delta) == (hits >= j)


def test_a_probability_that_equals_delta_is_allowed():
    """0.8^2 = 0.64 = 1 - 0.36, which binary numbers miss by a rounding error."""
    assert promise.fewest_images(0.8, 0.36) == 2
    assert promise.required_hits(2, 0.8, 0.36) == 2


def test_the_published_table_of_misses():
    missed = {
        0.80: (2, 6, 13, 21, 48, 84, 178),
        0.90: (0, 1, 4, 8, 21, 38, 84),
        0.95: (None, 0, 1, 2, 8, 16, 38),
        0.99: (None, None, None, None, 0, 1, 4),
    }
    for recall, row in missed.items():
        for images, allowed in zip((30, 60, 100, 150, 300, 500, 1000), row, strict=True):
            hits = promise.required_hits(images, recall, 0.95)
            assert (None if hits is None else images - hits) == allowed


@settings(max_examples=60, deadline=None)
@given(images=st.integers(1, 400), missed=st.integers(0, 400), confidence=st.sampled_from(CONFIDENCES))
def test_the_best_recall_is_the_largest_that_the_rule_accepts(images, missed, confidence):
    missed = min(missed, images)
    best = promise.best_recall(images, missed, confidence)
    if missed == images:
        assert best == 0
        return
    exact = stats.binomtest(images - missed, images, alternative="greater").proportion_ci(confidence).low
    assert best == pytest.approx(exact)
    assert promise.required_hits(images, best - 1e-9, confidence) <= images - missed
    above = promise.required_hits(images, best + 1e-9, confidence)
    assert above is None or above > images - missed


@settings(max_examples=60, deadline=None)
@given(
    d=st.lists(st.floats(-30, 30, width=32), min_size=14, max_size=80),
    decimals=st.sampled_from([0, 1, 8]),
    shift=st.sampled_from([0.0, 1000.0]),
)
def test_the_bias_finds_the_required_images_in_float32_as_in_float64(d, decimals, shift):
    scores = scores_of(np.round(d, decimals)) + shift
    scores = scores.astype(np.float32)
    result = promise.recall_threshold(scores, [0], 0, 0.8, 0.95)
    required = promise.required_hits(len(d), 0.8, 0.95)
    in_double = threshold.moved(scores, [0], result.bias) == 0
    in_single = scores[:, 0] + np.float32(result.bias) > scores[:, 1]
    margins = np.sort(promise.margins(scores, [0], 0))
    assert in_single.sum() >= required
    assert in_double.sum() == len(d) - result.missed >= required
    assert result.reached
    assert result.bias > margins[required - 1]
    # No image is found that is more than a rounding error away from the required ones.
    assert result.bias <= margins[required - 1] + promise.ROOM + 1e-3 * (shift > 0) + 1e-5


def test_ties_are_found_together():
    result = promise.recall_threshold(scores_of([0.0] * 40 + [1.0] * 60), [0], 0, 0.8, 0.95)
    assert result.missed == 0
    assert 1 < result.bias < 1.001
    result = promise.recall_threshold(scores_of([0.0] * 95 + [1.0] * 5), [0], 0, 0.8, 0.95)
    assert result.missed == 5
    assert 0 < result.bias < 1e-3


def test_too_few_images_give_what_can_be_promised():
    result = promise.recall_threshold(scores_of(np.linspace(-1, 0.4, 10)), [0], 0, 0.95, 0.95)
    assert not result.reached
    assert (result.images, result.missed) == (10, 0)
    assert result.best == pytest.approx(0.05 ** (1 / 10))
    assert result.bias == pytest.approx(0.4, abs=1e-3)
    none = promise.recall_threshold(np.zeros((0, 2)), [0], 0, 0.5, 0.5)
    assert (none.images, none.reached, none.best) == (0, False, 0.0)
    assert np.isnan(none.bias)


def test_images_that_look_more_like_another_important_class_cannot_be_promised():
    scores = np.zeros((100, 3))
    scores[:, 1] = 1  # classes 0 and 1 are important
    assert promise.recall_threshold(scores, [0, 1], 0, 0.5, 0.95).best == 0
    scores[:90, 0] = 2
    result = promise.recall_threshold(scores, [0, 1], 0, 0.8, 0.95)
    assert (result.reached, result.missed) == (True, 10)
    assert promise.recall_threshold(scores, [0, 1], 0, 0.9, 0.95).best == pytest.approx(
        promise.best_recall(100, 10, 0.95)
    )
    with pytest.raises(ValueError, match="not important"):
        promise.recall_threshold(scores, [0, 1, 2], 0, 0.9, 0.95)


def violations(recall, confidence, images, draw, repeats, seed=0):
    """The share of calibrations whose true recall is below ``recall``; ``draw(random, n)`` gives margins of images."""
    random = np.random.default_rng(seed)
    population = np.sort(draw(random, 40_000))
    below = 0
    for _ in range(repeats):
        chosen = scores_of(population[random.integers(len(population), size=images)])
        bias = promise.recall_threshold(chosen, [0], 0, recall, confidence).bias
        below += np.searchsorted(population, bias) / len(population) < recall
    return below / repeats


@pytest.mark.parametrize(("recall", "images"), [(0.8, 20), (0.95, 100)])
@pytest.mark.parametrize(
    "draw",
    [lambda random, n: random.normal(size=n), lambda random, n: random.normal(size=n).round(1)],
    ids=["continuous", "ties"],
)
def test_the_promise_is_broken_in_at_most_delta_of_all_calibrations(recall, images, draw):
    share = violations(recall, 0.9, images, draw, repeats=600)
    assert share <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 600)


def test_two_important_classes_share_the_confidence():
    random = np.random.default_rng(0)
    confidence = promise.shared(0.9, 2)
    assert confidence == pytest.approx(0.95)

    def draw(n, k):
        scores = random.normal(size=(n, 4))
        scores[:, k] += 2.5
        return scores

    whole = {k: draw(5_000, k) for k in (0, 1)}
    below = 0
    for _ in range(300):
        bias = [promise.recall_threshold(draw(60, k), [0, 1], k, 0.7, confidence).bias for k in (0, 1)]
        recall = [(threshold.moved(whole[k], [0, 1], bias) == k).mean() for k in (0, 1)]
        below += min(recall) < 0.7
    assert below / 300 <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 300)
