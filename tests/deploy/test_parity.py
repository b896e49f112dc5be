"""The comparison of an exported file with PyTorch."""

import numpy as np
import pytest

from camri_exp.deploy import parity


def model(pixels):
    scores = pixels.reshape(len(pixels), -1)[:, :4].astype(np.float32)
    return scores, np.ones((len(pixels), 4), np.float32), scores.argmax(1)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (10, 1, 8, 8), dtype=np.uint8)


def test_equal_models_do_not_differ(pixels):
    result = parity.compare(model, model, pixels)
    assert (result.images, result.difference, result.same_prediction) == (10, 0, 10)


def test_a_fixed_batch_size_is_detected(pixels):
    def wrong_for_one_image(pixels):
        scores, probabilities, prediction = model(pixels)
        return (scores + (len(pixels) == 1)), probabilities, prediction

    assert parity.compare(model, wrong_for_one_image, pixels).difference > 1e-3


def test_a_difference_in_probabilities_counts(pixels):
    def wrong_probabilities(pixels):
        scores, probabilities, prediction = model(pixels)
        return scores, probabilities * 0.9, prediction

    assert parity.compare(model, wrong_probabilities, pixels).difference == pytest.approx(0.1)


def test_other_predictions_are_counted(pixels):
    def other_predictions(pixels):
        scores, probabilities, prediction = model(pixels)
        return scores, probabilities, np.where(np.arange(len(pixels)) < 3, 9, prediction)

    assert parity.compare(model, other_predictions, pixels).same_prediction == 7
