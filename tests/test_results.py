"""The records of a run's files: written and read back, and refused in one line where they are damaged."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camri_exp.errors import UserError
from camri_exp.results import (
    AngleStatistics,
    FailureRecord,
    JobRecord,
    RunResult,
    SplitMetrics,
    SplitPredictions,
    read_predictions,
    write_predictions,
)

METRICS = SplitMetrics(0.5, math.nan, 0.25, 0.75, {"cat": 1.0, "dog": math.nan})
RESULT = RunResult(
    data="digits",
    loss="camri",
    model="small_cnn",
    seed=0,
    important_class=[1],
    important_class_names=["dog"],
    class_names=["cat", "dog"],
    overrides=["seed=0"],
    config_hash="0" * 16,
    setting="1" * 16,
    class_free=False,
    loss_parameters={"margin": 0.2},
    val=METRICS,
    test=METRICS,
    angles=AngleStatistics([1, 0], [0.1, math.nan], [0.0, math.nan]),
    epochs=1,
    fit_seconds=1.5,
    images_per_second=10.0,
    checkpoint="checkpoints/best.ckpt",
    parameters=10,
    hardware="CPU",
)


def changed(**values: Any) -> str:
    content = RESULT.to_dict()
    return json.dumps(content | values, default=str).replace("NaN", "null")


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    RESULT.write(tmp_path / "result.json")
    read = RunResult.of(tmp_path)
    np.testing.assert_equal(read.to_dict(), RESULT.to_dict())
    assert json.loads((tmp_path / "result.json").read_text())["val"]["recall_important"] is None
    assert list(RESULT.to_dict())[:3] == ["schema", "status", "data"]


def test_optional_and_unknown_keys(tmp_path: Path) -> None:
    content = json.loads(changed(colour="blue"))
    del content["angles"]
    (tmp_path / "result.json").write_text(json.dumps(content))
    assert RunResult.of(tmp_path).angles is None
    assert "angles" not in RunResult.of(tmp_path).to_dict()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is damaged: it is not JSON"),
        ("{", "is damaged: it is not JSON"),
        ("[" * 100_000, "is damaged: it is not JSON"),
        ("[]", "is damaged: expected a JSON object, found a list"),
        ("3", "is damaged: expected a JSON object, found a int"),
        ("{}", "is damaged: data: field required"),
        (changed(schema=2), "has schema 2; this version of camri_exp reads 1"),
        (changed(seed="one"), "is damaged: seed: input should be a valid integer"),
        (changed(val=3), "is damaged: val: "),
        (changed(class_names="ab"), "is damaged: class_names: input should be a valid list"),
        (changed(test={"accuracy": "high"}), "is damaged: test.accuracy: "),
    ],
)
def test_a_damaged_result_is_named_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(UserError) as error:
        RunResult.of(tmp_path)
    assert words in str(error.value)
    assert str(tmp_path / "result.json") in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_folder_without_a_result_is_not_a_finished_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the folder of a finished run"):
        RunResult.of(tmp_path)


def test_the_other_records_of_a_job(tmp_path: Path) -> None:
    record = JobRecord(launch="now", state="running", started=1.0, host="here", pid=3)
    record.write(tmp_path / "job.json")
    assert JobRecord.read(tmp_path / "job.json") == record
    assert JobRecord.from_dict({"launch": "before", "state": "done"}, "an older file").attempt == 1
    FailureRecord(error="no luck").write(tmp_path / "failure.json")
    assert FailureRecord.read(tmp_path / "failure.json").error == "no luck"


def test_predictions_are_read_as_they_were_written(tmp_path: Path) -> None:
    scores, target = np.eye(3, dtype=np.float32), np.array([0, 1, 2])
    names, groups = np.array(["a", "b", "c"]), np.array(["x", "x", "y"])
    whole = SplitPredictions(scores, target, names, groups, angle=np.zeros(3))
    bare = SplitPredictions(scores, target, names)
    write_predictions(tmp_path / "predictions.npz", {"val": whole, "test": bare})
    arrays = read_predictions(tmp_path / "predictions.npz")
    for split, written in (("val", whole), ("test", bare)):
        np.testing.assert_equal(vars(SplitPredictions.from_arrays(arrays, split)), vars(written))
    assert set(read_predictions(tmp_path / "predictions.npz", ["test_target"])) == {"test_target"}
