"""The simulation of promises counts what it says."""

import numpy as np
import pytest
from scipy.stats import binom, norm
from simulation import page, promises


def means(draw, repeats, seed=0):
    random = np.random.default_rng(seed)
    counts = [draw(random) for _ in range(repeats)]
    return {name: np.mean([count[name] for count in counts]) for name in counts[0]}


def test_the_share_of_kept_promises_is_the_binomial_one():
    """With j hits required, the promise is kept where fewer than j of n images lie below the r-quantile."""
    recall, images, confidence = 0.8, 20, 0.9
    required = int(binom.ppf(confidence, images, recall)) + 1
    expected = binom.cdf(required - 1, images, recall)
    assert means(promises.independent(recall, images, confidence), 2000)["kept"] == pytest.approx(expected, abs=0.025)
    naive = means(promises.independent(recall, images, confidence), 500)["naive"]
    assert naive == pytest.approx(binom.cdf(15, images, recall), abs=0.08)


@pytest.mark.parametrize("case", [promises.ties, promises.groups, promises.two_classes])
def test_special_cases_keep_the_promise(case):
    assert means(case(0.9, 60, 0.95), 60)["kept"] >= 0.85


def test_taking_the_cheapest_of_many_calibrated_models_breaks_it():
    counts = means(promises.chosen_model(0.9, 60, 0.95), 60)
    assert counts["kept"] >= 0.85
    assert counts["naive"] < counts["kept"]


def test_a_tied_bias_finds_everything_up_to_the_middle_between_steps():
    margins = np.round(np.random.default_rng(0).normal(size=200_000) / promises.STEP) * promises.STEP
    counts = means(promises.ties(0.9, 60, 0.95), 1)
    assert set(counts.values()) <= {0.0, 1.0}
    assert (margins < 1.01).mean() == pytest.approx(norm.cdf((np.ceil(1.01 / 0.25) - 0.5) * 0.25), abs=0.005)


def test_both_tables_are_on_the_page():
    results = {cell.key: {"kept": 0.96, "naive": 0.5, "sweeps": 10} for cell in promises.cells()}
    text = page.text(results)
    assert "## A promised recall" in text
    assert "| 95 % | 60 | 95 % | 96.0 % | 50.0 % | 10 |" in text
    assert "| groups | 60 x 30 | 96.0 % | 50.0 % | 10 |" in text
