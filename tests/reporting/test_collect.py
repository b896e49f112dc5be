"""Collecting: every run once, and what is missing said."""

import json
from pathlib import Path

import numpy as np
import pytest

from camri_exp.errors import UserError
from camri_exp.reporting.collect import collect
from camri_exp.reporting.grouping import configurations_of
from tests.helpers.generated_runs import CLASSES, write_run, write_sweep


def test_runs_that_differ_by_seed_alone_are_one_setting(tmp_path: Path) -> None:
    runs = collect([write_sweep(tmp_path, range(4))]).runs

    assert len(runs) == 20
    settings = configurations_of(runs, (0,))
    assert [(s.loss, s.label) for s in settings] == [
        ("camri", "margin=0.1, scale=8"),
        ("camri", "margin=0.1, scale=16"),
        ("camri", "margin=0.2, scale=8"),
        ("camri", "margin=0.2, scale=16"),
        ("ce", "default"),
    ]
    assert all(sorted(setting.runs) == [0, 1, 2, 3] for setting in settings)


def test_whatever_has_no_result_is_listed_with_its_state(tmp_path: Path) -> None:
    write_run(tmp_path / "fine", "ce", 0)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "failure.json").write_text(json.dumps({"error": "CUDA out of memory"}))
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "job.json").write_text("{}")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "result.json").write_text('{"schema": 1, "val": {')
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "result.json").write_text('{"schema": 99}')
    (tmp_path / "jobs.json").write_text(json.dumps(["fine", "broken", "killed", "half", "newer", "never"]))

    found = collect([tmp_path])
    states = {run.folder.name: (run.state, run.reason) for run in found.unfinished}

    assert [run.folder.name for run in found.runs] == ["fine"]
    assert states["broken"] == ("failed", "CUDA out of memory")
    assert states["killed"] == ("interrupted", "")
    assert states["never"] == ("not started", "")
    assert states["half"][0] == states["newer"][0] == "unreadable"
    assert "schema 99" in states["newer"][1]


def test_same_run_in_two_sweeps_counts_once(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_run(tmp_path / name / "ce", "ce", 0, class_free=True, important=(0,))
    write_run(tmp_path / "third" / "ce", "ce", 0, class_free=True, important=(1,))  # the same training
    write_run(tmp_path / "third" / "camri", "camri", 0, important=(1,))
    write_run(tmp_path / "first" / "camri", "camri", 0, important=(0,))

    found = collect([tmp_path / "first", tmp_path / "second", tmp_path / "third", tmp_path / "first"])

    assert sorted((run.loss, run.important) for run in found.runs) == [("camri", (0,)), ("camri", (1,)), ("ce", (0,))]
    assert found.repeated == 2


def test_recall_of_a_class_without_images_is_nan(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "ce", 0)
    result = json.loads((folder / "result.json").read_text())
    result["val"]["recall"][CLASSES[0]] = None
    (folder / "result.json").write_text(json.dumps(result))

    run = collect([tmp_path]).runs[0]

    assert np.isnan(run.recall("val", [0]))
    assert run.recall("val", [1, 2]) == pytest.approx(np.mean([result["val"]["recall"][name] for name in CLASSES[1:]]))


def test_predictions_are_read_when_asked_for(tmp_path: Path) -> None:
    run = collect([write_run(tmp_path / "run", "ce", 0).parent]).runs[0]
    scores, target = run.predictions("test_scores", "test_target")  # type: ignore[misc]

    assert (scores.argmax(1) == target).mean() == pytest.approx(run.accuracy("test"))
    assert run.predictions("test_angle") is None
    (run.folder / "predictions.npz").unlink()
    assert run.predictions("test_scores") is None


def test_no_folder_or_no_result_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        collect([tmp_path / "nowhere"])
    (tmp_path / "jobs.json").write_text('["a", "b"]')
    with pytest.raises(UserError, match=r"no finished run .* 2 unfinished"):
        collect([tmp_path])
