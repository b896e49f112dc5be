"""``evaluation.json``: its keys, reading it back, and errors for files of another shape."""

import json
import re

import pytest

from camri_exp.errors import UserError
from camri_exp.evaluation.record import Evaluation
from tests.helpers.evaluations import evaluated

KEYS = [
    "schema", "split", "images", "data", "loss", "model", "seed", "run", "important_class", "important_class_names",
    "accuracy", "recall_important", "precision_important", "macro_recall", "recall", "intervals", "important_set",
    "per_class", "mistaken_for", "missed", "threshold", "angles", "calibration", "confusion", "class_names",
    "comparison", "notes",
]  # fmt: skip
NESTED_KEYS = {
    ("intervals",): {"accuracy", "recall_important", "precision_important"},
    ("intervals", "accuracy"): {"value", "low", "high"},
    ("important_set",): {
        "support", "recall", "recall_low", "recall_high", "precision", "precision_low", "precision_high",
    },
    ("per_class", 0): {
        "class", "support", "predicted", "recall", "recall_low", "recall_high", "precision", "f1",
    },
    ("mistaken_for", "8", 0): {"class", "count", "share"},
    ("missed", 0): {"image", "index", "class", "taken_for", "probability"},
    ("threshold",): {"bias", "chosen_on", "val", "test"},
    ("threshold", "val"): {"bias", "recall", "precision", "accuracy"},
    ("calibration",): {"top_label", "important"},
    ("calibration", "important"): {"error", "error_if_calibrated", "confidence", "frequency", "count"},
    ("comparison",): {"with", "resampled", "accuracy", "recall of 8"},
    ("comparison", "with"): {"data", "loss", "model", "seed", "run"},
    ("comparison", "recall of 8"): {
        "mine", "other", "difference", "low", "high", "only_mine", "only_other", "p_value", "images",
    },
}  # fmt: skip
ANGLE_KEYS = {
    ("angles",): {
        "mean", "var", "mean_important", "var_important", "mean_rest", "var_rest", "var_ratio", "unit", "weights",
    },
    ("angles", "weights"): {"smallest_angle", "between", "nearest_to_important"},
    ("angles", "weights", "nearest_to_important", "8"): {"class", "angle"},
}  # fmt: skip


def at(content, path):
    for key in path:
        content = content[key]
    return content


def test_the_keys_of_the_file(runs, command):
    content, _ = evaluated(command, f"run={runs['ce']}", f"compare={runs['camri']}", "figures=false")
    assert list(content) == KEYS
    assert {path: set(at(content, path)) for path in NESTED_KEYS} == NESTED_KEYS
    assert content["angles"] is None
    content, _ = evaluated(command, f"run={runs['camri']}", "figures=false")
    assert list(content) == [key for key in KEYS if key != "comparison"]
    assert {path: set(at(content, path)) for path in ANGLE_KEYS} == ANGLE_KEYS
    content, _ = evaluated(command, f"checkpoint={runs['ce']}/checkpoints/best.ckpt", "figures=false")
    assert list(content) == [key.replace("run", "checkpoint") for key in KEYS if key != "comparison"]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("run=CAMRI", "compare=CE"), "evaluation.json"),
        (("checkpoint=CAMRI/checkpoints/best.ckpt", "split=val"), "evaluation_val.json"),
    ],
)
def test_a_file_that_is_read_and_written_again_is_unchanged(runs, command, tmp_path, arguments, name):
    given = [text.replace("CAMRI", str(runs["camri"])).replace("CE", str(runs["ce"])) for text in arguments]
    content, _ = evaluated(command, *given, "figures=false", name=name)
    evaluation = Evaluation.read(tmp_path / "out" / name)
    evaluation.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert evaluation.per_class[8].class_name == content["per_class"][8]["class"] == "8"
    assert evaluation.threshold.on(content["split"]).recall == content["threshold"][content["split"]]["recall"]
    if "comparison" in content:
        assert str(evaluation.comparison.compared_with) == str(runs["ce"])
        assert evaluation.comparison.recall["8"].difference == content["comparison"]["recall of 8"]["difference"]


def test_a_file_of_the_first_version_has_no_list_of_missed_images(runs, command, tmp_path):
    content, _ = evaluated(command, f"run={runs['ce']}", "figures=false")
    del content["missed"]
    (tmp_path / "old.json").write_text(json.dumps(content))
    assert Evaluation.read(tmp_path / "old.json").missed == []


def test_unknown_numbers_are_null_in_the_file_and_nan_in_the_record(runs, command, tmp_path):
    content, _ = evaluated(command, f"run={runs['ce']}", "figures=false")
    content["intervals"]["accuracy"]["low"] = None
    (tmp_path / "unknown.json").write_text(json.dumps(content))
    evaluation = Evaluation.read(tmp_path / "unknown.json")
    assert str(evaluation.intervals.accuracy.low) == "nan"
    evaluation.write(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accuracy": "high"}, "accuracy: input should be a valid number"),
        ({"per_class": [{"class": "0"}]}, "per_class.0.support: field required"),
        ({"comparison": []}, "comparison"),
        ({"schema": 2}, "has schema 2"),
    ],
)
def test_a_file_of_another_shape_is_refused_in_one_line(runs, command, tmp_path, changes, message):
    content, _ = evaluated(command, f"run={runs['ce']}", "figures=false")
    (tmp_path / "wrong.json").write_text(json.dumps(content | changes))
    with pytest.raises(UserError, match=re.escape(message)) as refused:
        Evaluation.read(tmp_path / "wrong.json")
    assert "wrong.json" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
