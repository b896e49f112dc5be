"""The reliability diagram."""

import numpy as np

from camri_exp.figures.reliability import reliability_diagram
from camri_exp.metrics import calibration, intervals


def test_points_and_their_intervals():
    random = np.random.default_rng(0)
    probabilities, target = random.dirichlet([0.3] * 4, 300), random.integers(4, size=300)
    top = calibration.top_label(probabilities, probabilities.argmax(1), target)
    figure = reliability_diagram({"top": top, "cat": calibration.of_important(probabilities, target, [1])})
    above = figure.axes[0]
    points = [line.get_xydata()[0] for line in above.lines if line.get_marker() == "o"]
    full = top.count > 0
    np.testing.assert_allclose(points, np.stack([top.confidence, top.frequency], 1)[full])
    bars = [line.get_ydata() for line in above.lines[1:] if line.get_marker() != "o"]
    hits = (top.frequency * top.count)[full].round().astype(int)
    expected = [intervals.wilson(h, n) for h, n in zip(hits, top.count[full], strict=True)]
    np.testing.assert_allclose(bars, [(i.low, i.high) for i in expected])
    assert f"{top.error:.4f}" in above.get_title()
