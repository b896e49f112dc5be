"""The table on the screen, from numbers that are easy to check."""

import numpy as np

from camri_exp.evaluation.metrics import evaluate_predictions
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.evaluation.summary import summary_table
from camri_exp.results import SplitPredictions


def predictions(prediction, target, groups=None, important=(1,), names=("ant", "bee", "cat")):
    scores = np.eye(3)[list(prediction)]
    split = SplitPredictions(scores, np.array(target), np.array([f"{i}.png" for i in range(len(target))]), groups)
    return ModelPredictions(
        data="tiny", loss="ce", model="small_cnn", seed=3, class_names=list(names), important=list(important),
        splits={"val": split, "test": split}, has_cosine_scores=False,
    )  # fmt: skip


def test_the_table_of_a_model_with_linear_scores():
    model = predictions(prediction=[0, 1, 2, 2], target=[0, 1, 1, 2])
    lines = summary_table(evaluate_predictions(model, "test")).splitlines()
    assert lines[0] == "tiny, loss ce, small_cnn, seed 3: 4 test images"
    assert lines[3] == "accuracy              0.7500  0.3006 to 0.9544"
    assert lines[4] == "recall of bee         0.5000  0.0945 to 0.9055"
    assert lines[7] == "bee is mistaken for  cat (1)"
    assert "angle" not in " ".join(lines)


def test_the_interval_over_a_single_group_is_unknown():
    model = predictions(prediction=[0, 1, 2], target=[0, 1, 1], groups=np.array(["sign"] * 3))
    table = summary_table(evaluate_predictions(model, "test"))
    assert "unknown over 1 group" in table
    assert "note: Several test images show the same object." in table


def test_a_class_that_is_never_missed_is_mistaken_for_no_other_class():
    table = summary_table(evaluate_predictions(predictions([0, 1, 2], [0, 1, 2]), "test"))
    assert "bee is mistaken for  no other class" in table


def test_long_names_of_several_important_classes_become_a_number():
    names = ["speed limit 20 km/h", "speed limit 30 km/h", "end of all limits"]
    model = predictions([0, 1, 2], [0, 1, 2], important=(0, 1, 2), names=names)
    table = summary_table(evaluate_predictions(model, "test"))
    assert "recall of 3 classes" in table
    assert "threshold" not in table, "no class is left to take images from"
