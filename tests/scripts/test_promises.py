"""The page of promises on real data: its numbers come from the runs, and the kept page is up to date."""

import json
import sys

import numpy as np
import promises
import pytest

from camri_exp.metrics import threshold
from camri_exp.metrics.promise import best_recall, recall_threshold
from tests.helpers.generated_runs import CLASSES, write_run


@pytest.fixture
def runs(tmp_path):
    """Two runs with 100 calibration images of each class, in groups of 4 in the second one's test."""
    folders = []
    for seed in (0, 1):
        folders.append(write_run(tmp_path / "runs" / f"seed-{seed}", "ce", seed))
        with np.load(folders[-1] / "predictions.npz") as file:
            arrays = dict(file)
        arrays |= {f"calibration_{key}": arrays[f"val_{key}"] for key in ("scores", "target")}
        arrays["calibration_group"] = np.array([f"object {i // 12}" for i in range(len(arrays["val_target"]))])
        np.savez(folders[-1] / "predictions.npz", **arrays)
    return folders


def test_objects_and_images_are_promised_and_compared_with_the_test_images(runs):
    rows = list(promises.rows_of(runs[0].parent, 0.8, 0.95, None))
    assert len(rows) == 2 * len(CLASSES) * 2
    row = next(row for row in rows if (row.run, row.class_name, row.counted) == ("seed-0", "cat", "images"))
    stored = np.load(runs[0] / "predictions.npz")
    own = recall_threshold(stored["calibration_scores"][stored["calibration_target"] == 0], [0], 0, 0.8, 0.95)
    assert (row.units, row.bias, row.promised, row.reached) == (100, own.bias, 0.8, True)
    prediction, target = threshold.moved(stored["test_scores"], [0], own.bias), stored["test_target"]
    assert row.recall == pytest.approx((prediction == 0)[target == 0].mean())
    assert row.false_alarms == pytest.approx((prediction == 0)[target != 0].mean())
    by_object = next(row for row in rows if (row.run, row.class_name, row.counted) == ("seed-0", "cat", "objects"))
    assert by_object.units == 25
    few = next(row for row in promises.rows_of(runs[0].parent, 0.95, 0.95, "cat") if row.counted == "objects")
    assert not few.reached
    assert few.promised == pytest.approx(best_recall(25, 0, 0.95))


def test_the_page_has_a_table_for_each_way_of_counting_and_the_reading(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(promises, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(promises, "PAGE", tmp_path / "page.md")
    arguments = ["promises.py", "--study", "toy", "--runs", str(runs[0].parent), "--recall", "0.8"]
    monkeypatch.setattr(sys, "argv", arguments)
    promises.main()
    (tmp_path / "kept" / "toy.md").write_text("What it means.\n")
    monkeypatch.setattr(sys, "argv", ["promises.py"])
    promises.main()
    text = (tmp_path / "page.md").read_text()
    assert "## toy: 2 runs, recall 80 %, confidence 95 %\n\nWhat it means.\n\n### Counting objects\n" in text
    assert "### Counting images, as if they were independent" in text
    rows = [
        row for row in json.loads((tmp_path / "kept" / "toy.json").read_text())["rows"] if row["counted"] == "images"
    ]
    recalls = [row["recall"] for row in rows if row["class_name"] == "cat"]
    kept = sum(recall >= 0.8 for recall in recalls)
    assert f"| cat | 80.0 % | 100 images | {100 * np.mean(recalls):.1f} % ({100 * min(recalls):.1f} %) | " in text
    assert f" | {kept} of 2 | " in text
    assert "&lt;img src=x" in text


def test_the_page_in_the_documentation_is_that_of_the_kept_promises():
    assert promises.PAGE.read_text(encoding="utf-8") == promises.text(promises.KEPT)
