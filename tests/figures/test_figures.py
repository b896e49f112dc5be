"""What is drawn is what was measured, and can be read: by overlaps, by numbers and in grey."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from camri_exp.figures import style
from camri_exp.figures.angles import angle_histograms
from camri_exp.figures.confusion import confusion_matrix
from camri_exp.figures.gallery import gallery
from camri_exp.figures.per_class_recall import recall_per_class
from camri_exp.figures.reliability import reliability_diagram
from camri_exp.figures.tradeoff import Model, recall_against_accuracy
from camri_exp.metrics import calibration, intervals, per_class, threshold

NAMES = [f"Speed limit {k}, end of the motorway and of all" for k in range(43)]


def answers(n=400, classes=43, seed=0):
    random = np.random.default_rng(seed)
    target = random.integers(classes, size=n)
    scores = random.normal(size=(n, classes))
    scores[np.arange(n), target] += 3
    return scores, target


def drawn_boxes(figure, *groups):
    """The boxes of each group of texts on the drawn figure; of a single group its boxes alone."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [[text.get_window_extent(renderer) for text in texts if text.get_text()] for texts in groups]
    return boxes if len(boxes) > 1 else boxes[0]


def overlap(boxes):
    return [(a, b) for a, b in combinations(boxes, 2) if a.padded(-0.5).overlaps(b.padded(-0.5))]


def test_a_confusion_matrix_of_43_classes_can_be_read():
    scores, target = answers()
    confusion = per_class.confusion_matrix(scores.argmax(1), target, 43)
    figure = confusion_matrix(confusion, NAMES, [14])
    axes = figure.axes[0]
    figure.set_dpi(75)  # overlaps do not depend on it
    sides = axes.get_xticklabels(), axes.get_yticklabels()
    numbers = [text for text in axes.texts if text.get_text()]
    *boxes, in_cells = drawn_boxes(figure, *sides, numbers)
    for labels, side in zip(sides, boxes, strict=True):
        assert len(side) == 43
        assert not overlap(side)
        assert all(label.get_fontsize() >= 7 for label in labels)
        assert [label.get_fontweight() for label in labels].index("bold") == 14
    assert not overlap(in_cells)
    mistakes = confusion - np.diag(np.diag(confusion))
    assert sum(int(text.get_text()) for text in numbers) == mistakes.sum()


def test_of_few_classes_every_count_stands_in_its_cell():
    confusion = np.array([[5, 0, 1], [2, 7, 0], [0, 0, 12]])
    texts = confusion_matrix(confusion, ["a", "b", "c"], [1]).axes[0].texts
    found = {(round(text.get_position()[1]), round(text.get_position()[0])): int(text.get_text()) for text in texts}
    assert found == {(i, j): confusion[i, j] for i, j in np.argwhere(confusion)}


def test_recalls_stand_in_order_with_their_intervals():
    scores, target = answers(classes=43)
    rows = per_class.rows(per_class.confusion_matrix(scores.argmax(1), target, 43), NAMES)
    figure = recall_per_class(rows, [14])
    axes = figure.axes[0]
    assert not overlap(drawn_boxes(figure, axes.get_yticklabels()))
    points = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in points] == sorted((row["recall"] for row in rows), reverse=True)
    bars = {tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2}
    assert bars == {(row["recall_low"], row["recall_high"]) for row in rows}
    marked = [line.get_marker() for line in points].index("D")
    assert axes.get_yticklabels()[marked].get_fontweight() == "bold"


def test_a_class_without_images_has_no_recall_to_draw():
    confusion = np.diag([3, 0, 4])
    figure = recall_per_class(per_class.rows(confusion, ["a", "b", "c"]), [1])
    assert len(drawn_boxes(figure, figure.axes[0].get_yticklabels())) == 3


def test_angle_histograms_are_shares_of_each_side():
    random = np.random.default_rng(0)
    target = random.integers(5, size=600)
    angle = np.where(target == 2, 0.4, 0.9) + random.normal(0, 0.1, 600)
    axes = angle_histograms(angle, target, [2], "cat").axes[0]
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    inside = np.degrees(angle[target == 2])
    assert told[0] == f"cat: {inside.mean():.1f}° ± {inside.std():.1f}° (n = {len(inside)})"
    assert told[1].startswith("other classes: ")
    shares = [patch.get_xy()[1:-1:2, 1].sum() for patch in axes.patches]
    assert shares == [pytest.approx(1)] * 2


def test_a_side_without_images_is_left_out():
    told = angle_histograms(np.full(4, 0.5), np.zeros(4, int), [1], "b").axes[0].get_legend().get_texts()
    assert len(told) == 1


def test_reliability_points_and_their_intervals():
    random = np.random.default_rng(0)
    probabilities, target = random.dirichlet([0.3] * 4, 300), random.integers(4, size=300)
    one = calibration.top_label(probabilities, probabilities.argmax(1), target)
    figure = reliability_diagram({"top": one, "cat": calibration.of_important(probabilities, target, [1])})
    above = figure.axes[0]
    points = [line.get_xydata()[0] for line in above.lines if line.get_marker() == "o"]
    full = one.count > 0
    np.testing.assert_allclose(points, np.stack([one.confidence, one.frequency], 1)[full])
    bars = [line.get_ydata() for line in above.lines[1:] if line.get_marker() != "o"]
    hits = (one.frequency * one.count)[full].round().astype(int)
    wanted = [intervals.wilson(h, n) for h, n in zip(hits, one.count[full], strict=True)]
    np.testing.assert_allclose(bars, [(i.low, i.high) for i in wanted])
    assert f"{one.error:.4f}" in above.get_title()


def models():
    found = []
    for seed, label in ((0, "camri"), (1, "ce")):
        scores, target = answers(classes=5, seed=seed)
        curve, hit = threshold.curve(scores, target, [2]), scores.argmax(1) == target
        recall = intervals.wilson(int(hit[target == 2].sum()), int((target == 2).sum()))
        accuracy = intervals.wilson(int(hit.sum()), len(hit))
        found.append(Model(label, accuracy, recall, curve, threshold.at(scores, target, [2], 0.3 * seed)))
    return found


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


def test_the_gallery_shows_each_picture_once():
    images = np.random.default_rng(0).integers(0, 256, (11, 3, 8, 8), dtype=np.uint8)
    figure = gallery(images, [f"{i}.png" for i in range(11)], "eleven")
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == [f"{i}.png" for i in range(11)]
    for axes, image in zip(shown, images, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image.transpose(1, 2, 0))
    assert not overlap(drawn_boxes(figure, [axes.title for axes in shown]))
    grey = gallery(images[:2, :1], ["a", "b"], "grey").axes[0].images[0].get_array()
    assert (grey == images[0, 0][:, :, None]).all()


def test_a_gallery_of_nothing_says_so():
    figure = gallery(np.zeros((0, 3, 8, 8), np.uint8), [], "none missed")
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["none"]


def lightness(colour):
    """CIE L*, 0 black to 100 white."""
    channel = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    return 116 * (linear @ [0.2126, 0.7152, 0.0722]) ** (1 / 3) - 16


def test_no_two_colours_are_one_in_grey():
    colours = [style.IMPORTANT, style.OTHER, style.NEUTRAL, style.FAINT]
    assert min(abs(lightness(a) - lightness(b)) for a, b in combinations(colours, 2)) > 12


def test_a_figure_is_written_whole(tmp_path):
    style.save(confusion_matrix(np.eye(3, dtype=int), ["a", "b", "c"], [0]), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert Image.open(tmp_path / "a.png").format == "PNG"


def test_nothing_is_left_with_pyplot():
    assert not plt.get_fignums()


def test_a_thousand_classes_are_drawn_without_names_that_nobody_could_read():
    scores, target = answers(n=3000, classes=1000)
    confusion = per_class.confusion_matrix(scores.argmax(1), target, 1000)
    names = [f"class {k}" for k in range(1000)]
    axes = confusion_matrix(confusion, names, [700, 3]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["class 3", "class 700"]
    assert not axes.texts
    rows = per_class.rows(confusion, names)
    figure = recall_per_class(rows, [700, 3])
    labels = [label.get_text().split(" (")[0] for label in figure.axes[0].get_yticklabels()]
    assert {"class 3", "class 700"} < set(labels)
    assert len(labels) < 100
    assert figure.get_size_inches()[1] < 25


def test_names_with_dollars_are_no_formulas():
    figure = confusion_matrix(np.eye(2, dtype=int), [r"$\broken$", "5$"], [0])
    assert len(drawn_boxes(figure, figure.axes[0].get_yticklabels())) == 2
