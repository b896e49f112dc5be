"""The figure of the recall of each class."""

import numpy as np

from camri_exp.figures.per_class_recall import recall_per_class
from camri_exp.metrics.confusion import confusion_matrix
from camri_exp.metrics.per_class import class_metrics
from tests.helpers.figures import NAMES, overlaps, random_scores, text_boxes


def test_recalls_are_sorted_and_have_their_intervals():
    scores, target = random_scores(classes=43)
    classes = class_metrics(confusion_matrix(scores.argmax(1), target, 43), NAMES)
    figure = recall_per_class(classes, [14])
    axes = figure.axes[0]
    assert not overlaps(text_boxes(figure, axes.get_yticklabels()))
    points = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in points] == sorted((row.recall for row in classes), reverse=True)
    bars = {tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2}
    assert bars == {(row.recall_low, row.recall_high) for row in classes}
    marked = [line.get_marker() for line in points].index("D")
    assert axes.get_yticklabels()[marked].get_fontweight() == "bold"


def test_a_class_without_images_has_a_label_but_no_recall():
    figure = recall_per_class(class_metrics(np.diag([3, 0, 4]), ["a", "b", "c"]), [1])
    assert len(text_boxes(figure, figure.axes[0].get_yticklabels())) == 3


def test_of_a_thousand_classes_the_lowest_recalls_and_the_important_ones_are_drawn():
    scores, target = random_scores(n=3000, classes=1000)
    confusion = confusion_matrix(scores.argmax(1), target, 1000)
    figure = recall_per_class(class_metrics(confusion, [f"class {k}" for k in range(1000)]), [700, 3])
    labels = [label.get_text().split(" (")[0] for label in figure.axes[0].get_yticklabels()]
    assert {"class 3", "class 700"} < set(labels)
    assert len(labels) < 100
    assert figure.get_size_inches()[1] < 25
