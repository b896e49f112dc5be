"""Per-class numbers, calibration and angles against scikit-learn, torchmetrics and plain loops."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import precision_recall_fscore_support
from torchmetrics.functional.classification import multiclass_calibration_error

from camri_exp.metrics import angles, calibration, per_class

NAMES = ["ant", "bee", "cat", "dog"]


def answers(seed=0, n=200):
    random = np.random.default_rng(seed)
    target = random.integers(4, size=n)
    prediction = np.where(random.random(n) < 0.7, target, random.integers(4, size=n))
    return prediction, target


def test_rows_are_scikit_learns():
    prediction, target = answers()
    confusion = per_class.confusion_matrix(prediction, target, 4)
    assert (confusion == sklearn_confusion(target, prediction)).all()
    precision, recall, f1, support = precision_recall_fscore_support(target, prediction)
    found = per_class.rows(confusion, NAMES)
    assert [row["class"] for row in found] == NAMES
    for key, wanted in {"precision": precision, "recall": recall, "f1": f1, "support": support}.items():
        assert [row[key] for row in found] == pytest.approx(list(wanted)), key


def test_a_class_never_seen_nor_predicted_is_unknown():
    row = per_class.rows(np.diag([5, 3, 0, 1]), NAMES)[2]
    assert np.isnan([row["recall"], row["precision"], row["f1"], row["recall_low"]]).all()
    assert row["support"] == 0


def test_the_set_of_important_classes_is_a_two_class_problem():
    prediction, target = answers(1)
    found = per_class.important_set(per_class.confusion_matrix(prediction, target, 4), [1, 3])
    mine, true = np.isin(prediction, [1, 3]), np.isin(target, [1, 3])
    assert found["recall"] == pytest.approx((mine & true).sum() / true.sum())
    assert found["precision"] == pytest.approx((mine & true).sum() / mine.sum())


def test_mistaken_for_is_sorted_and_leaves_out_what_never_happened():
    confusion = np.array([[5, 0, 0, 0], [1, 6, 3, 0], [0, 0, 5, 0], [0, 0, 0, 5]])
    assert per_class.mistaken_for(confusion, 1, NAMES) == [
        {"class": "cat", "count": 3, "share": 0.3},
        {"class": "ant", "count": 1, "share": 0.1},
    ]
    assert per_class.mistaken_for(confusion, 0, NAMES) == []


def random_probabilities(seed=0, n=400):
    random = np.random.default_rng(seed)
    return random.dirichlet([0.5] * 4, n), random.integers(4, size=n)


def test_calibration_error_is_torchmetrics():
    probabilities, target = random_probabilities()
    wanted = multiclass_calibration_error(torch.tensor(probabilities), torch.tensor(target), 4, n_bins=15)
    found = calibration.top_label(probabilities, probabilities.argmax(1), target)
    assert found.error == pytest.approx(float(wanted), abs=1e-6)


def test_what_was_predicted_need_not_be_the_most_probable():
    probabilities, prediction = np.tile([0.1, 0.6, 0.3], (50, 1)), np.full(50, 2)
    found = calibration.top_label(probabilities, prediction, prediction)
    assert found.confidence[found.count > 0] == pytest.approx(0.3)
    assert found.error == pytest.approx(0.7)


def test_bins_add_up_to_the_error():
    probabilities, target = random_probabilities(1)
    top = calibration.top_label(probabilities, probabilities.argmax(1), target)
    for found in (top, calibration.of_important(probabilities, target, [2])):
        full = found.count > 0
        gap = np.abs(found.confidence - found.frequency)[full]
        assert found.count.sum() == 400
        assert (gap * found.count[full]).sum() / 400 == pytest.approx(found.error, abs=1e-6)


def test_a_model_that_means_what_it_says_has_no_error():
    random = np.random.default_rng(2)
    sure = random.random(200_000)
    assert calibration.reliability(sure, random.random(200_000) < sure).error < 0.01
    assert calibration.reliability(np.ones(100), np.zeros(100, dtype=bool)).error == pytest.approx(1)


def test_own_class_angles_a_class_and_a_side():
    random = np.random.default_rng(3)
    target, angle = random.integers(4, size=300), random.random(300)
    found = angles.own_class_angles(angle, target, [1, 2], 5)
    for k in range(4):
        assert found["mean"][k] == pytest.approx(angle[target == k].mean())
        assert found["var"][k] == pytest.approx(angle[target == k].var())
    assert np.isnan(found["mean"][4])
    inside = np.isin(target, [1, 2])
    assert found["var_important"] == pytest.approx(angle[inside].var())
    assert found["mean_rest"] == pytest.approx(angle[~inside].mean())
    wanted = np.mean([found["var"][1], found["var"][2]]) / np.mean([found["var"][0], found["var"][3]])
    assert found["var_ratio"] == pytest.approx(wanted)


def test_angles_between_weights():
    spokes = np.deg2rad([0, 30, 120, 350])
    weight = np.stack([np.cos(spokes), np.sin(spokes)], axis=1) * np.array([[1], [5], [0.1], [2]])
    assert np.rad2deg(angles.between_weights(weight)[1]) == pytest.approx([30, 0, 90, 40])
    other, angle = angles.nearest_weight(weight, 0)
    assert (other, np.rad2deg(angle)) == (3, pytest.approx(10))
