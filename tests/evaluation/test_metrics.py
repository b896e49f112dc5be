"""Evaluating a run from its files or its checkpoint: the same numbers, checked against scikit-learn and by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from camri_exp.evaluation.metrics import evaluate_predictions
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.metrics import intervals
from camri_exp.metrics.tuned_threshold import tuned_threshold
from camri_exp.results import SplitPredictions
from tests.helpers.evaluations import FIGURES, evaluated, figures, kept


def test_numbers_from_files_equal_those_of_scikit_learn(runs, command, tmp_path):
    evaluation, printed = evaluated(command, f"run={runs['camri']}")
    test = kept(runs["camri"])
    prediction = test["scores"].argmax(1)
    assert evaluation["accuracy"] == accuracy_score(test["target"], prediction)
    assert (evaluation["confusion"] == confusion_matrix(test["target"], prediction)).all()
    precision, recall, f1, support = precision_recall_fscore_support(test["target"], prediction, zero_division=np.nan)
    for key, expected in {"precision": precision, "recall": recall, "f1": f1, "support": support}.items():
        values = [np.nan if row[key] is None else row[key] for row in evaluation["per_class"]]
        np.testing.assert_allclose(values, expected, err_msg=key)
    assert evaluation["recall_important"] == pytest.approx(recall[8])
    assert evaluation["macro_recall"] == pytest.approx(recall.mean())
    hits = int((prediction == test["target"])[test["target"] == 8].sum())
    interval = intervals.wilson(hits, int(support[8]))
    assert evaluation["intervals"]["recall_important"]["low"] == pytest.approx(interval.low)
    assert f"{evaluation['accuracy']:.4f}" in printed
    assert f"{interval.low:.4f} to {interval.high:.4f}" in printed
    assert figures(tmp_path / "out" / "figures") == FIGURES | {"angles"}


def test_mistakes_and_missed_images_of_the_important_class(runs, command):
    evaluation, printed = evaluated(command, f"run={runs['ce']}")
    test = kept(runs["ce"])
    prediction = test["scores"].argmax(1)
    wrong = np.flatnonzero((test["target"] == 8) & (prediction != 8))
    assert len(wrong), "one epoch should leave mistakes"
    others, counts = np.unique(prediction[wrong], return_counts=True)
    rows = evaluation["mistaken_for"]["8"]
    assert {int(row["class"]): row["count"] for row in rows} == dict(zip(others.tolist(), counts.tolist(), strict=True))
    assert [row["count"] for row in rows] == sorted(counts.tolist(), reverse=True)
    assert f"8 is mistaken for {rows[0]['class']} ({rows[0]['count']})" in " ".join(printed.split())
    missed = {row["image"]: (row["taken_for"], row["probability"]) for row in evaluation["missed"]}
    exponents = np.exp(test["scores"])
    confidence = (exponents / exponents.sum(1, keepdims=True)).max(1)
    assert missed == {str(test["name"][i]): (str(prediction[i]), pytest.approx(confidence[i], abs=1e-5)) for i in wrong}
    probabilities = [row["probability"] for row in evaluation["missed"]]
    assert probabilities == pytest.approx(sorted(confidence[wrong], reverse=True))


def test_a_checkpoint_gives_the_numbers_of_its_run_and_a_gallery(runs, command, tmp_path):
    from_files, _ = evaluated(command, f"run={runs['camri']}")
    computed, _ = evaluated(command, f"checkpoint={runs['camri']}/checkpoints/best.ckpt")
    assert figures(tmp_path / "out" / "figures") == FIGURES | {"angles", "missed"}
    assert computed["confusion"] == from_files["confusion"]
    assert computed["per_class"] == from_files["per_class"]
    assert computed["intervals"] == from_files["intervals"]
    assert [row["image"] for row in computed["missed"]] == [row["image"] for row in from_files["missed"]]
    assert computed["threshold"]["bias"] == pytest.approx(from_files["threshold"]["bias"], abs=1e-5)
    for key in ("mean_important", "var_rest"):
        assert computed["angles"][key] == pytest.approx(from_files["angles"][key], abs=1e-5)
    assert computed["angles"]["weights"] == from_files["angles"]["weights"]


def test_angles_between_weights_are_those_of_the_checkpoint(runs, command):
    evaluation, _ = evaluated(command, f"run={runs['camri']}")
    state = torch.load(runs["camri"] / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    unit = torch.nn.functional.normalize(state["head.weight"].double(), dim=1)
    between = (unit @ unit.T).clamp(-1, 1).acos() + 10 * torch.eye(10)
    weights = evaluation["angles"]["weights"]
    assert weights["smallest_angle"] == pytest.approx(between.min().item(), abs=1e-6)
    assert weights["nearest_to_important"]["8"] == {
        "class": str(between[8].argmin().item()),
        "angle": pytest.approx(between[8].min().item(), abs=1e-6),
    }
    test = kept(runs["camri"])
    means = [test["angle"][test["target"] == k].mean() for k in range(10)]
    assert evaluation["angles"]["mean"] == pytest.approx(means)


def test_the_threshold_is_chosen_on_validation_and_reported_on_test(runs, command):
    evaluation, _ = evaluated(command, f"run={runs['ce']}")
    val, test = kept(runs["ce"], "val"), kept(runs["ce"])
    expected = tuned_threshold(val["scores"], val["target"], [8])
    assert expected is not None
    assert evaluation["threshold"]["bias"] == expected.bias
    moved = test["scores"].astype(float) + expected.bias * (np.arange(10) == 8)
    assert evaluation["threshold"]["test"]["accuracy"] == (moved.argmax(1) == test["target"]).mean()
    assert evaluation["threshold"]["test"]["recall"] == (moved.argmax(1) == 8)[test["target"] == 8].mean()


def test_the_probability_of_a_missed_image_is_that_of_the_predicted_class():
    """A loss may favour a class in its scores and not in its probabilities, as MSE with outlying labels does."""
    scores = np.array([[3.0, 1.0, 0.2], [0.1, 2.0, 0.3], [0.1, 0.2, 2.0]])
    labels = np.array([6.0, 1.0, 1.0])
    split = SplitPredictions(scores, np.array([1, 1, 2]), np.array(["a", "b", "c"]))

    def probabilities(scores):
        return (scores / labels) / (scores / labels).sum(1, keepdims=True)

    model = ModelPredictions(
        data="tiny", loss="mse_outlying", model="small_cnn", seed=0, class_names=["x", "y", "z"], important=[1],
        splits={"val": split, "test": split}, has_cosine_scores=False, probabilities=probabilities,
    )  # fmt: skip
    (missed,) = evaluate_predictions(model, "test").missed
    assert (missed.image, missed.class_name, missed.taken_for) == ("a", "y", "x")
    assert missed.probability == pytest.approx(0.5 / 1.7)
