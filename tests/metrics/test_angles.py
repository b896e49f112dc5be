"""Angles of features and class weights, against plain loops."""

import numpy as np
import pytest
import torch

from camri_exp.metrics import angles
from camri_exp.metrics.angle_metric import own_angle


def test_the_angle_to_a_class_in_float64_and_in_training():
    random = np.random.default_rng(0)
    cosines = random.uniform(-1, 1, (50, 4)).astype(np.float32)
    cosines[0] = 1.0000001  # cosines may exceed 1 by rounding
    classes = random.integers(4, size=50)
    angle = angles.angle_to_class(cosines, classes)
    assert angle.dtype == np.float64
    assert angle[0] == 0
    assert np.cos(angle[1:]) == pytest.approx(cosines[np.arange(50), classes][1:])
    in_training = own_angle(torch.from_numpy(cosines), torch.from_numpy(classes))
    np.testing.assert_allclose(in_training.numpy(), angle, atol=1e-6)


def test_own_class_angles_per_class_and_per_side():
    random = np.random.default_rng(3)
    target, angle = random.integers(4, size=300), random.random(300)
    result = angles.own_class_angles(angle, target, [1, 2], 5)
    for k in range(4):
        assert result.mean[k] == pytest.approx(angle[target == k].mean())
        assert result.var[k] == pytest.approx(angle[target == k].var())
    assert np.isnan(result.mean[4])
    inside = np.isin(target, [1, 2])
    assert result.var_important == pytest.approx(angle[inside].var())
    assert result.mean_rest == pytest.approx(angle[~inside].mean())
    expected = np.mean([result.var[1], result.var[2]]) / np.mean([result.var[0], result.var[3]])
    assert result.var_ratio == pytest.approx(expected)


def test_angles_between_weights():
    spokes = np.deg2rad([0, 30, 120, 350])
    weight = np.stack([np.cos(spokes), np.sin(spokes)], axis=1) * np.array([[1], [5], [0.1], [2]])
    assert np.rad2deg(angles.between_weights(weight)[1]) == pytest.approx([30, 0, 90, 40])
    other, angle = angles.nearest_weights(weight)[0]
    assert (other, np.rad2deg(angle)) == (3, pytest.approx(10))


@pytest.mark.parametrize("shape", [(4, 2), (7, 3)])
def test_features_are_recovered_from_their_cosines(shape):
    random = np.random.default_rng(0)
    weight, features = random.normal(size=shape), random.normal(size=(20, shape[1]))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    unit = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    np.testing.assert_allclose(angles.features_of(features @ unit.T, weight), features, atol=1e-12)
