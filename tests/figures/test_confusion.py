"""The figure of a confusion matrix."""

import numpy as np
import pytest

from camri_exp.figures.confusion import confusion_matrix
from camri_exp.metrics.confusion import confusion_matrix as counts
from tests.helpers.figures import NAMES, overlaps, random_scores, text_boxes


@pytest.mark.slow
def test_a_confusion_matrix_of_43_classes_can_be_read():
    scores, target = random_scores()
    confusion = counts(scores.argmax(1), target, 43)
    figure = confusion_matrix(confusion, NAMES, [14])
    axes = figure.axes[0]
    figure.set_dpi(75)  # overlaps do not depend on it
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = text_boxes(figure, labels)
        assert len(boxes) == 43
        assert not overlaps(boxes)
        assert all(label.get_fontsize() >= 7 for label in labels)
        assert [label.get_fontweight() for label in labels].index("bold") == 14
    numbers = [text for text in axes.texts if text.get_text()]
    assert not overlaps(text_boxes(figure, numbers))
    mistakes = confusion - np.diag(np.diag(confusion))
    assert sum(int(text.get_text()) for text in numbers) == mistakes.sum()


def test_with_few_classes_every_count_is_in_its_cell():
    confusion = np.array([[5, 0, 1], [2, 7, 0], [0, 0, 12]])
    texts = confusion_matrix(confusion, ["a", "b", "c"], [1]).axes[0].texts
    cells = {(round(text.get_position()[1]), round(text.get_position()[0])): int(text.get_text()) for text in texts}
    assert cells == {(i, j): confusion[i, j] for i, j in np.argwhere(confusion)}


def test_with_a_thousand_classes_only_the_important_ones_are_named():
    scores, target = random_scores(n=3000, classes=1000)
    confusion = counts(scores.argmax(1), target, 1000)
    axes = confusion_matrix(confusion, [f"class {k}" for k in range(1000)], [700, 3]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["class 3", "class 700"]
    assert not axes.texts


def test_dollars_in_names_do_not_start_formulas():
    figure = confusion_matrix(np.eye(2, dtype=int), [r"$\broken$", "5$"], [0])
    assert len(text_boxes(figure, figure.axes[0].get_yticklabels())) == 2
