"""Evaluating a run from its files or its checkpoint: the same numbers, checked against scikit-learn and by hand."""

import csv

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from camri_exp.evaluation.metrics import measure
from camri_exp.evaluation.predictions import Answers, Subject
from camri_exp.metrics import intervals, threshold
from tests.helpers.evaluations import FIGURES, evaluated, kept, pictures


def test_from_files_every_number_is_scikit_learns(runs, command, tmp_path):
    found, told = evaluated(command, f"run={runs['camri']}")
    test = kept(runs["camri"])
    prediction = test["scores"].argmax(1)
    assert found["accuracy"] == accuracy_score(test["target"], prediction)
    assert (found["confusion"] == confusion_matrix(test["target"], prediction)).all()
    precision, recall, f1, support = precision_recall_fscore_support(test["target"], prediction, zero_division=np.nan)
    for key, wanted in {"precision": precision, "recall": recall, "f1": f1, "support": support}.items():
        values = [np.nan if row[key] is None else row[key] for row in found["per_class"]]
        np.testing.assert_allclose(values, wanted, err_msg=key)
    assert found["recall_important"] == pytest.approx(recall[8])
    assert found["macro_recall"] == pytest.approx(recall.mean())
    hits = int((prediction == test["target"])[test["target"] == 8].sum())
    wanted = intervals.wilson(hits, int(support[8]))
    assert found["intervals"]["recall_important"]["low"] == pytest.approx(wanted.low)
    assert f"{found['accuracy']:.4f}" in told
    assert f"{wanted.low:.4f} to {wanted.high:.4f}" in told
    assert pictures(tmp_path / "out" / "figures") == FIGURES | {"angles"}


def test_the_important_class_is_taken_for_what_the_mistakes_say(runs, command):
    found, told = evaluated(command, f"run={runs['ce']}")
    test = kept(runs["ce"])
    prediction = test["scores"].argmax(1)
    wrong = np.flatnonzero((test["target"] == 8) & (prediction != 8))
    assert len(wrong), "an epoch should leave mistakes"
    others, counts = np.unique(prediction[wrong], return_counts=True)
    rows = found["mistaken_for"]["8"]
    assert {int(row["class"]): row["count"] for row in rows} == dict(zip(others.tolist(), counts.tolist(), strict=True))
    assert [row["count"] for row in rows] == sorted(counts.tolist(), reverse=True)
    assert f"8 is taken for {rows[0]['class']} ({rows[0]['count']})" in " ".join(told.split())
    missed = {row["image"]: (row["taken_for"], row["probability"]) for row in found["missed"]}
    exponents = np.exp(test["scores"])
    sure = (exponents / exponents.sum(1, keepdims=True)).max(1)
    assert missed == {str(test["name"][i]): (str(prediction[i]), pytest.approx(sure[i], abs=1e-5)) for i in wrong}
    assert [row["probability"] for row in found["missed"]] == pytest.approx(sorted(sure[wrong], reverse=True))


def test_a_checkpoint_gives_what_its_run_kept_and_a_gallery(runs, command, tmp_path):
    from_files, _ = evaluated(command, f"run={runs['camri']}")
    fresh, _ = evaluated(command, f"checkpoint={runs['camri']}/checkpoints/best.ckpt")
    assert pictures(tmp_path / "out" / "figures") == FIGURES | {"angles", "missed"}
    assert fresh["confusion"] == from_files["confusion"]
    assert fresh["per_class"] == from_files["per_class"]
    assert fresh["intervals"] == from_files["intervals"]
    assert [row["image"] for row in fresh["missed"]] == [row["image"] for row in from_files["missed"]]
    assert fresh["threshold"]["bias"] == pytest.approx(from_files["threshold"]["bias"], abs=1e-5)
    for key in ("mean_important", "var_rest"):
        assert fresh["angles"][key] == pytest.approx(from_files["angles"][key], abs=1e-5)
    assert fresh["angles"]["weights"] == from_files["angles"]["weights"]


def test_angles_between_weights_are_those_of_the_checkpoint(runs, command):
    found, _ = evaluated(command, f"run={runs['camri']}")
    state = torch.load(runs["camri"] / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    unit = torch.nn.functional.normalize(state["head.weight"].double(), dim=1)
    between = (unit @ unit.T).clamp(-1, 1).acos() + 10 * torch.eye(10)
    weights = found["angles"]["weights"]
    assert weights["smallest_angle"] == pytest.approx(between.min().item(), abs=1e-6)
    assert weights["nearest_to_important"]["8"] == {
        "class": str(between[8].argmin().item()),
        "angle": pytest.approx(between[8].min().item(), abs=1e-6),
    }
    own = kept(runs["camri"])["angle"]
    assert found["angles"]["mean"] == pytest.approx([own[kept(runs["camri"])["target"] == k].mean() for k in range(10)])


def test_the_threshold_comes_from_validation_and_is_told_on_test(runs, command, tmp_path):
    found, _ = evaluated(command, f"run={runs['ce']}")
    val, test = kept(runs["ce"], "val"), kept(runs["ce"])
    own = (val["scores"].argmax(1) == val["target"]).mean()
    wanted = threshold.keeping(threshold.curve(val["scores"], val["target"], [8]), own)
    assert found["threshold"]["bias"] == wanted.bias
    moved = test["scores"].astype(float) + wanted.bias * (np.arange(10) == 8)
    assert found["threshold"]["test"]["accuracy"] == (moved.argmax(1) == test["target"]).mean()
    assert found["threshold"]["test"]["recall"] == (moved.argmax(1) == 8)[test["target"] == 8].mean()
    with open(tmp_path / "out" / "evaluation_threshold.csv", newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    biases = [row["bias"] for row in rows]
    assert biases == sorted(set(biases))
    own = next(row for row in rows if row["bias"] == 0)
    assert (own["accuracy"], own["recall"]) == pytest.approx((found["accuracy"], found["recall_important"]))
    assert (rows[0]["recall"], rows[-1]["recall"]) == (0, 1)


def test_how_sure_a_mistake_was_is_the_probability_of_what_it_was_taken_for():
    """A loss may favour a class in its scores and not in its probabilities, as MSE with outlying labels does."""
    scores = np.array([[3.0, 1.0, 0.2], [0.1, 2.0, 0.3], [0.1, 0.2, 2.0]])
    labels = np.array([6.0, 1.0, 1.0])
    target = np.array([1, 1, 2])
    answers = Answers(scores, target, ["a", "b", "c"], None)

    def probabilities(scores):
        return (scores / labels) / (scores / labels).sum(1, keepdims=True)

    subject = Subject({}, ["x", "y", "z"], [1], {"val": answers, "test": answers}, False, probabilities)
    missed = measure(subject, "test")["missed"]
    assert [(row["image"], row["taken_for"]) for row in missed] == [("a", "x")]
    assert missed[0]["probability"] == pytest.approx(0.5 / 1.7)
