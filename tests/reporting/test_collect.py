"""Collecting runs: each run once, missing and damaged ones named."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camri_exp.errors import UserError
from camri_exp.files import claimed
from camri_exp.reporting.collect import collect
from camri_exp.reporting.grouping import configurations_of
from camri_exp.results import JobRecord
from tests.helpers.generated_runs import CLASSES, write_run, write_sweep
from tests.helpers.results import result_of


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_runs_that_differ_by_seed_alone_are_one_configuration(tmp_path: Path) -> None:
    runs = collect([write_sweep(tmp_path, range(4))]).runs

    assert len(runs) == 20
    configurations = configurations_of(runs, (0,))
    assert [(c.loss, c.label) for c in configurations] == [
        ("camri", "margin=0.1, scale=8"),
        ("camri", "margin=0.1, scale=16"),
        ("camri", "margin=0.2, scale=8"),
        ("camri", "margin=0.2, scale=16"),
        ("ce", "default"),
    ]
    assert all(sorted(configuration.runs) == [0, 1, 2, 3] for configuration in configurations)


def test_runs_without_a_result_are_listed_with_their_state(tmp_path: Path) -> None:
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

    collection = collect([tmp_path])
    states = {run.folder.name: (run.state, run.reason) for run in collection.unfinished}

    assert [run.folder.name for run in collection.runs] == ["fine"]
    assert states["broken"] == ("failed", "CUDA out of memory")
    assert states["killed"] == ("interrupted", "")
    assert states["never"] == ("not started", "")
    assert states["half"][0] == states["newer"][0] == "damaged"
    assert "schema 99" in states["newer"][1]
    assert [message.split(" ")[0] for message in collection.damaged] == [
        str(tmp_path / name / "result.json") for name in ("half", "newer")
    ]


def test_a_job_is_running_while_its_folder_is_claimed(tmp_path: Path) -> None:
    write_run(tmp_path / "fine", "ce", 0)
    for name, state in (("running", "running"), ("killed", "running"), ("stopped", "interrupted")):
        JobRecord(state=state).write(make_folder(tmp_path / name) / "job.json")
        for left in (".claim", ".claimed_by"):  # by a process that was killed
            (tmp_path / name / left).touch()
    (make_folder(tmp_path / "odd") / "job.json").write_text("{")
    for name in ("single", "single killed"):  # not jobs of a sweep
        (make_folder(tmp_path / name) / "config.yaml").touch()
        for left in (".claim", ".claimed_by"):  # by a process that was killed
            (tmp_path / name / left).touch()

    with ExitStack() as locks:
        for name in ("running", "stopped", "single"):
            locks.enter_context(claimed(tmp_path / name, ""))
        states = {run.folder.name: run.state for run in collect([tmp_path]).unfinished}

    expected = {"killed": "interrupted", "odd": "interrupted", "running": "running", "stopped": "interrupted"}
    expected |= {"single": "running", "single killed": "interrupted"}
    assert states == expected


def test_lock_that_is_a_link_is_not_opened(tmp_path: Path) -> None:
    write_run(tmp_path / "fine", "ce", 0)
    JobRecord(state="running").write(make_folder(tmp_path / "killed") / "job.json")
    (tmp_path / "precious").write_text("content")
    (tmp_path / "killed" / ".claim").symlink_to(tmp_path / "precious")

    assert [run.state for run in collect([tmp_path]).unfinished] == ["interrupted"]
    assert (tmp_path / "precious").read_text() == "content"


@pytest.mark.parametrize("content", ["{", "null", '{"a": 1}', "[1]", '["/etc"]', '["../other"]', "\x00", "[" * 10**5])
def test_damaged_plan_is_skipped_and_named(tmp_path: Path, content: str) -> None:
    write_run(tmp_path / "fine", "ce", 0)
    (tmp_path / "jobs.json").write_text(content)

    collection = collect([tmp_path, tmp_path])

    assert len(collection.runs) == 1
    assert not collection.unfinished
    (message,) = collection.damaged
    assert message.startswith(f"{tmp_path / 'jobs.json'} is damaged")
    assert "\n" not in message


def test_planned_name_that_no_file_system_allows_is_not_a_run(tmp_path: Path) -> None:
    write_run(tmp_path / "fine", "ce", 0)
    (tmp_path / "jobs.json").write_text(json.dumps(["a" * 5000, "b"]))
    assert [run.state for run in collect([tmp_path]).unfinished] == ["damaged", "not started"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"important_class": [7]}, "important_class: expected ids of the 3 classes"),
        ({"important_class": []}, "important_class: expected ids"),
        ({"class_names": ["cat", "dog", "cow"]}, "val.recall: expected a value for each class"),
        ({"angles": {"count": [1], "mean": [0.1], "variance": [0.1]}}, "angles.variance: expected 3 values"),
        ({"test": None}, "test: "),
        ({"seed": "zero"}, "seed: "),
    ],
)
def test_damaged_result_costs_one_run(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    write_sweep(tmp_path, range(2))
    path = tmp_path / "ce+0" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    collection = collect([tmp_path])

    assert len(collection.runs) == 9
    (message,) = collection.damaged
    assert message.startswith(f"{path} is damaged: {words}")


def test_same_run_in_two_sweeps_counts_once(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_run(tmp_path / name / "ce", "ce", 0, class_free=True, important=(0,))
    write_run(tmp_path / "third" / "ce", "ce", 0, class_free=True, important=(1,))  # the same training
    write_run(tmp_path / "third" / "camri", "camri", 0, important=(1,))
    write_run(tmp_path / "first" / "camri", "camri", 0, important=(0,))

    collection = collect([tmp_path / "first", tmp_path / "second", tmp_path / "third", tmp_path / "first"])
    runs = sorted((run.loss, run.important) for run in collection.runs)

    assert runs == [("camri", (0,)), ("camri", (1,)), ("ce", (0,))]
    assert collection.duplicates == 2


def test_recall_of_a_class_without_images_is_nan(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "ce", 0)
    result = result_of(folder)
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
