"""The figure of recall against accuracy."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from camri_exp.figures.tradeoff import Model, recall_against_accuracy
from camri_exp.metrics import intervals, threshold
from tests.helpers.figures import random_scores


def models():
    drawn = []
    for seed, label in ((0, "camri"), (1, "ce")):
        scores, target = random_scores(classes=5, seed=seed)
        curve, hit = threshold.curve(scores, target, [2]), scores.argmax(1) == target
        recall = intervals.wilson(int(hit[target == 2].sum()), int((target == 2).sum()))
        accuracy = intervals.wilson(int(hit.sum()), len(hit))
        drawn.append(Model(label, accuracy, recall, curve, threshold.at(scores, target, [2], 0.3 * seed)))
    return drawn


def test_recall_against_accuracy_shows_points_curves_and_choices():
    camri, ce = models()
    figure = recall_against_accuracy([camri, ce], "cat")
    axes = figure.axes[0]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "camri (tuned bias is 0)" in labels
    assert "ce: bias +0.3 (tuned on validation)" in labels
    curves = [line for line in axes.lines if len(line.get_xdata()) > 10]
    np.testing.assert_array_equal(curves[0].get_xydata(), np.stack([camri.curve.accuracy, camri.curve.recall], 1))
    (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for model in (camri, ce):
        assert low <= model.accuracy.low
        assert model.accuracy.high <= high
        assert bottom <= model.recall.low
        assert model.recall.high <= top
        # The model itself lies on its curve.
        here = np.flatnonzero(model.curve.bias == 0)[0]
        assert (model.curve.accuracy[here], model.curve.recall[here]) == (model.accuracy.value, model.recall.value)
    figure.draw(FigureCanvasAgg(figure).get_renderer())
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_a_model_alone_needs_no_curve():
    accuracy, recall = intervals.wilson(90, 100), intervals.Interval(0.8, np.nan, np.nan)
    axes = recall_against_accuracy([Model("mine", accuracy, recall)], "cat and dog").axes[0]
    assert axes.get_ylabel() == "recall of cat and dog"
