"""The important images that a model missed."""

import numpy as np

from camri_exp.metrics.missed import missed_important


def test_missed_images_of_important_classes_are_sorted_by_the_confidence_in_the_mistake():
    confidence = np.array(
        [[0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.9, 0.1, 0.0], [0.1, 0.2, 0.7], [0.5, 0.4, 0.1], [0.6, 0.4, 0.0]]
    )
    prediction, target = confidence.argmax(1), np.array([1, 1, 1, 1, 2, 1])
    assert missed_important(prediction, target, [1], confidence).tolist() == [2, 3, 0, 5]  # 4 is not important
    assert missed_important(prediction, target, [1, 2], confidence).tolist() == [2, 3, 0, 5, 4]
    assert missed_important(prediction, target, [0], confidence).tolist() == []


def test_the_confidence_is_that_of_the_prediction_also_where_another_class_is_more_probable():
    confidence = np.array([[0.3, 0.7], [0.4, 0.6]])
    assert missed_important(np.array([0, 0]), np.array([1, 1]), [1], confidence).tolist() == [1, 0]
