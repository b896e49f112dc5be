"""The files that an evaluation leaves."""

import csv

import pytest

from tests.helpers.evaluations import evaluated


def test_the_threshold_curve_runs_from_no_recall_to_full_recall_through_the_model_itself(runs, command, tmp_path):
    evaluation, printed = evaluated(command, f"run={runs['ce']}", "figures=false")
    with open(tmp_path / "out" / "evaluation_threshold.csv", newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    biases = [row["bias"] for row in rows]
    assert biases == sorted(set(biases))
    unmoved = next(row for row in rows if row["bias"] == 0)
    expected = evaluation["accuracy"], evaluation["recall_important"]
    assert (unmoved["accuracy"], unmoved["recall"]) == pytest.approx(expected)
    assert (rows[0]["recall"], rows[-1]["recall"]) == (0, 1)
    assert "threshold curve: out/evaluation_threshold.csv" in printed


def test_files_of_another_split_carry_its_name(runs, command, tmp_path):
    evaluated(command, f"run={runs['ce']}", "split=val", name="evaluation_val.json")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "evaluation_val.json", "evaluation_val_threshold.csv", "figures",
    }  # fmt: skip
    assert [path.name for path in (tmp_path / "out" / "figures").iterdir()] == ["val"]
