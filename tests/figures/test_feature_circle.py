"""Features of two dimensions and the angles between class weights, on the unit circle."""

import numpy as np
import pytest
from matplotlib.patches import Arc

from camri_exp.figures.feature_circle import Circle, features_on_circles


def circle(degrees, important=(1,)):
    spokes = np.deg2rad(degrees)
    weight = np.stack([np.cos(spokes), np.sin(spokes)], axis=1) * np.array([[3], [1], [0.2], [7]])
    target = np.arange(400) % 4
    turned = spokes[target] + np.random.default_rng(0).normal(0, 0.05, 400)
    features = np.stack([np.cos(turned), np.sin(turned)], axis=1)
    return Circle("camri", features, target, weight, ["a", "b", "c", "d"], important)


def test_the_title_gives_the_angle_to_the_nearest_weight():
    figure = features_on_circles([circle([350, 40, 120, 200]), circle([0, 90, 180, 270])])
    first, second = figure.axes
    assert first.get_title() == "camri\nb to a: 50.0°"
    assert second.get_title().endswith("90.0°")
    arc = next(patch for patch in first.patches if isinstance(patch, Arc))
    assert (arc.theta2 - arc.theta1) == pytest.approx(50)
    assert np.cos(np.deg2rad([arc.theta1, arc.theta2])) == pytest.approx(np.cos(np.deg2rad([-10, 40])))


def test_every_weight_is_a_spoke_of_length_one_and_features_lie_near_the_circle():
    model = circle([350, 40, 120, 200])
    axes = features_on_circles([model]).axes[0]
    spokes = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) == 2]
    unit = model.weight / np.linalg.norm(model.weight, axis=1, keepdims=True)
    np.testing.assert_allclose([spoke[1] for spoke in spokes], unit)
    points = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) > 2]
    assert sum(map(len, points)) == 400
    assert np.abs(np.linalg.norm(np.concatenate(points), axis=1) - 1).max() < 0.15
