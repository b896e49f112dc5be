"""Calibration by likelihood against known temperatures and biases."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from camri_exp.metrics.class_biases import fit_class_biases


@pytest.mark.parametrize("scale", [0.05, 1.0, 40.0])
def test_known_temperature_and_biases_are_recovered(scale: float) -> None:
    rng = np.random.default_rng(0)
    right = rng.normal(size=(40_000, 4)) * 1.5
    target = (softmax(right, axis=1).cumsum(1) > rng.random((len(right), 1))).argmax(1)
    bias = np.array([1.0, -0.5, 0.2, -0.7])
    fitted = fit_class_biases(scale * (right - bias), target)
    assert fitted.inverse_temperature * scale == pytest.approx(1.0, abs=0.03)
    np.testing.assert_allclose(fitted.bias, bias, atol=0.06)


def test_no_other_parameters_are_more_likely() -> None:
    rng = np.random.default_rng(1)
    scores, target = rng.normal(size=(300, 3)), rng.integers(3, size=300)
    fitted = fit_class_biases(scores, target)

    def likelihood(scale: float, bias: np.ndarray) -> float:
        log_p = log_softmax(scale * scores + bias, axis=1)[np.arange(300), target]
        return float(log_p.mean() - 1e-4 * (bias**2).sum())

    best = likelihood(fitted.inverse_temperature, fitted.bias)
    for _ in range(200):
        other = fitted.inverse_temperature * np.exp(0.1 * rng.normal()), fitted.bias + 0.1 * rng.normal(size=3)
        assert likelihood(*other) <= best + 1e-7


def test_perfect_scores_stay_finite() -> None:
    target = np.arange(30) % 3
    fitted = fit_class_biases(5 * np.eye(4)[target], target)
    assert np.isfinite(fitted.bias).all()
    assert (fitted(5 * np.eye(4)[target]).argmax(1) == target).all()
