"""Metrics of each class, against scikit-learn and plain counts."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from camri_exp.metrics import per_class
from camri_exp.metrics.confusion import confusion_matrix
from camri_exp.metrics.per_class import Mistake

NAMES = ["ant", "bee", "cat", "dog"]


def random_predictions(seed=0, n=200):
    random = np.random.default_rng(seed)
    target = random.integers(4, size=n)
    return np.where(random.random(n) < 0.7, target, random.integers(4, size=n)), target


def test_metrics_equal_those_of_scikit_learn():
    prediction, target = random_predictions()
    classes = per_class.class_metrics(confusion_matrix(prediction, target, 4), NAMES)
    precision, recall, f1, support = precision_recall_fscore_support(target, prediction)
    assert [row.class_name for row in classes] == NAMES
    for key, expected in {"precision": precision, "recall": recall, "f1": f1, "support": support}.items():
        assert [getattr(row, key) for row in classes] == pytest.approx(list(expected)), key
    assert [row.predicted for row in classes] == np.bincount(prediction).tolist()


def test_metrics_of_a_class_without_images_and_predictions_are_unknown():
    row = per_class.class_metrics(np.diag([5, 3, 0, 1]), NAMES)[2]
    assert np.isnan([row.recall, row.precision, row.f1, row.recall_low]).all()
    assert row.support == 0


def test_the_set_of_important_classes_is_a_two_class_problem():
    prediction, target = random_predictions(1)
    result = per_class.important_set(confusion_matrix(prediction, target, 4), [1, 3])
    predicted, true = np.isin(prediction, [1, 3]), np.isin(target, [1, 3])
    assert result.support == true.sum()
    assert result.recall == pytest.approx((predicted & true).sum() / true.sum())
    assert result.precision == pytest.approx((predicted & true).sum() / predicted.sum())


def test_mistakes_are_sorted_by_frequency_and_classes_without_mistakes_left_out():
    confusion = np.array([[5, 0, 0, 0], [1, 6, 3, 0], [0, 0, 5, 0], [0, 0, 0, 5]])
    assert per_class.mistaken_for(confusion, 1, NAMES) == [Mistake("cat", 3, 0.3), Mistake("ant", 1, 0.1)]
    assert per_class.mistaken_for(confusion, 0, NAMES) == []
