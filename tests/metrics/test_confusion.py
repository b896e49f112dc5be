"""Metrics from a confusion matrix, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

from camri_exp.metrics.confusion import confusion_matrix, rare_classes, summarize

NAMES = ["ant", "bee", "cat", "dog"]


def test_metrics_equal_those_of_scikit_learn():
    random = np.random.default_rng(0)
    target, prediction = random.integers(4, size=(2, 300))
    confusion = confusion_matrix(prediction, target, 4)
    assert (confusion == sklearn_confusion(target, prediction)).all()
    metrics = summarize(confusion, [1, 3], NAMES)
    assert metrics.accuracy == pytest.approx(accuracy_score(target, prediction))
    assert metrics.macro_recall == pytest.approx(recall_score(target, prediction, average="macro"))
    assert list(metrics.recall.values()) == pytest.approx(recall_score(target, prediction, average=None).tolist())
    assert metrics.recall_important == pytest.approx(recall_score(target, prediction, labels=[1, 3], average="macro"))
    precision = precision_score(target, prediction, labels=[1, 3], average="macro")
    assert metrics.precision_important == pytest.approx(precision)


def test_undefined_metrics():
    metrics = summarize(np.array([[3, 0, 0], [0, 0, 0], [2, 0, 0]]), [1], ["ant", "bee", "cat"])
    assert np.isnan([metrics.recall["bee"], metrics.recall_important]).all()
    assert metrics.precision_important == 0, "as in scikit-learn"
    assert metrics.macro_recall == 0.5, "over the classes with images"
    empty = summarize(np.zeros((2, 2), int), [0], ["ant", "bee"])
    assert np.isnan([empty.accuracy, empty.macro_recall]).all()


def test_the_recall_of_the_rare_third_is_the_mean_of_their_recalls():
    confusion = np.array([[8, 2, 0, 0], [5, 5, 0, 0], [0, 0, 1, 3], [1, 0, 0, 3]])
    metrics = summarize(confusion, [0], NAMES, class_counts=[500, 40, 90, 10])
    assert metrics.recall_rare == pytest.approx((0.5 + 0.75) / 2)  # of bee and dog
    assert rare_classes([3, 2, 1, 9, 9, 9, 9]) == [2, 1, 0]  # the rarest first
    for counts in (None, [10, 11, 19, 12]):  # not known, and nearly equal
        assert summarize(confusion, [0], NAMES, class_counts=counts).recall_rare is None
