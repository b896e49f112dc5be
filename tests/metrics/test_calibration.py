"""Expected calibration error and the bins of reliability diagrams, against torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from camri_exp.metrics import calibration


def random_probabilities(seed=0, n=400):
    random = np.random.default_rng(seed)
    return random.dirichlet([0.5] * 4, n), random.integers(4, size=n)


def test_the_error_equals_that_of_torchmetrics():
    probabilities, target = random_probabilities()
    expected = multiclass_calibration_error(torch.tensor(probabilities), torch.tensor(target), 4, n_bins=15)
    top = calibration.top_label(probabilities, probabilities.argmax(1), target)
    assert top.error == pytest.approx(float(expected), abs=1e-6)


def test_the_prediction_need_not_be_the_most_probable_class():
    probabilities, prediction = np.tile([0.1, 0.6, 0.3], (50, 1)), np.full(50, 2)
    top = calibration.top_label(probabilities, prediction, prediction)
    assert top.confidence[top.count > 0] == pytest.approx(0.3)
    assert top.error == pytest.approx(0.7)


@pytest.mark.parametrize(("n", "expected"), [(60, 0.15), (360, 0.065), (10_000, 0.012)])
def test_perfect_probabilities_have_the_error_that_is_given_next_to_it(n, expected):
    random, errors = np.random.default_rng(0), []
    confidence = random.uniform(0.3, 1, n)
    given = calibration.reliability(confidence, random.random(n) < confidence).error_if_calibrated
    for _ in range(20):
        errors.append(calibration.reliability(confidence, random.random(n) < confidence).error)
    assert given == pytest.approx(np.mean(errors), rel=0.25)
    assert given == pytest.approx(expected, rel=0.35)


def test_the_bins_give_the_error():
    probabilities, target = random_probabilities(1)
    top = calibration.top_label(probabilities, probabilities.argmax(1), target)
    for diagram in (top, calibration.of_important(probabilities, target, [2])):
        full = diagram.count > 0
        gap = np.abs(diagram.confidence - diagram.frequency)[full]
        assert diagram.count.sum() == 400
        assert (gap * diagram.count[full]).sum() / 400 == pytest.approx(diagram.error, abs=1e-6)


def test_the_error_of_calibrated_and_of_wrong_probabilities():
    random = np.random.default_rng(2)
    probability = random.random(200_000)
    assert calibration.reliability(probability, random.random(200_000) < probability).error < 0.01
    assert calibration.reliability(np.ones(100), np.zeros(100, dtype=bool)).error == pytest.approx(1)
