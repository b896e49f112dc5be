"""Comparing two runs on the same images; images that come in groups; several important classes."""

import json
import shutil

import numpy as np
import pytest

from camri_exp.metrics import intervals
from camri_exp.metrics.group_intervals import group_interval
from tests.helpers.evaluations import evaluated, kept
from tests.helpers.results import result_of


def test_two_runs_are_compared_on_the_same_images_in_any_order(runs, command, tmp_path):
    evaluation, printed = evaluated(command, f"run={runs['camri']}", f"compare={runs['ce']}")
    mine, other = kept(runs["camri"]), kept(runs["ce"])
    right = [run["scores"].argmax(1) == run["target"] for run in (mine, other)]
    expected = intervals.paired(*right)
    accuracy = evaluation["comparison"]["accuracy"]
    assert accuracy["difference"] == right[0].mean() - right[1].mean()
    assert (accuracy["only_mine"], accuracy["p_value"]) == (expected.only_mine, expected.p_value)
    recall = evaluation["comparison"]["recall of 8"]
    assert recall["difference"] == pytest.approx(np.subtract(*(hit[mine["target"] == 8].mean() for hit in right)))
    assert "McNemar's exact p" in printed

    shuffled = tmp_path / "shuffled"
    shutil.copytree(runs["ce"], shuffled)
    order = np.random.default_rng(0).permutation(len(other["target"]))
    with np.load(shuffled / "predictions.npz") as file:
        arrays = {name: file[name][order] if name.startswith("test") else file[name] for name in file.files}
    np.savez(shuffled / "predictions.npz", **arrays)
    again, _ = evaluated(command, f"run={runs['camri']}", f"compare={shuffled}")
    assert again["comparison"]["accuracy"] == accuracy


def test_runs_that_cannot_be_compared_are_refused_with_the_reason(runs, command, tmp_path):
    def changed(name, **arrays):
        shutil.copytree(runs["ce"], tmp_path / name)
        with np.load(runs["ce"] / "predictions.npz") as file:
            np.savez(tmp_path / name / "predictions.npz", **{**{key: file[key] for key in file.files}, **arrays})
        return command("evaluate", f"run={runs['camri']}", f"compare={tmp_path / name}", "output=out")

    test = kept(runs["ce"])
    finished = changed("images", test_name=np.char.add(test["name"], "x"))
    assert finished.code == 1
    assert "0 in common" in finished.err
    finished = changed("labels", test_target=(test["target"] + 1) % 10)
    assert "other true classes" in finished.err
    result = result_of(runs["ce"])
    names, recall = list("abcdefghij"), dict.fromkeys("abcdefghij", 0.5)
    metrics = {split: result[split] | {"recall": recall} for split in ("val", "test")}
    (tmp_path / "labels" / "result.json").write_text(json.dumps(result | metrics | {"class_names": names}))
    finished = command("evaluate", f"run={runs['camri']}", f"compare={tmp_path / 'labels'}", "output=out")
    assert "only models of the same classes can be compared" in finished.err


def grouped(run, into, important=(8,)):
    """A copy of a run whose validation images come in groups of six; the test images have no groups."""
    shutil.copytree(run, into)
    with np.load(run / "predictions.npz") as file:
        arrays = {name: file[name] for name in file.files}
    order = np.argsort(arrays["val_target"], kind="stable")
    arrays = {name: value[order] if name.startswith("val") else value for name, value in arrays.items()}
    arrays["val_group"] = np.array([f"track {i // 6}" for i in range(len(order))])
    np.savez(into / "predictions.npz", **arrays)
    result = result_of(run)
    result |= {"important_class": list(important), "important_class_names": [str(k) for k in important]}
    (into / "result.json").write_text(json.dumps(result))
    return into


def test_intervals_use_groups_where_they_are_known_and_a_note_says_where_they_are_not(runs, command, tmp_path):
    run = grouped(runs["camri"], tmp_path / "grouped")
    evaluation, printed = evaluated(command, f"run={run}", "split=val", f"compare={run}", name="evaluation_val.json")
    by_group = evaluation["intervals"]["accuracy"]["by_group"]
    val = kept(run, "val")
    expected = group_interval(val["scores"].argmax(1) == val["target"], val["group"])
    assert (by_group["low"], by_group["high"]) == (expected.low, expected.high)
    assert by_group["groups"] == len(set(val["group"]))
    assert f"{expected.low:.4f} to {expected.high:.4f} over {by_group['groups']} groups" in printed
    assert evaluation["comparison"]["resampled"] == "groups"
    evaluation, printed = evaluated(command, f"run={run}", "figures=false")
    assert "by_group" not in evaluation["intervals"]["accuracy"]
    assert "test files do not say which images belong together" in printed


def test_several_important_classes_have_one_row_each_and_one_for_all(runs, command, tmp_path):
    run = grouped(runs["ce"], tmp_path / "several", important=(3, 8))
    evaluation, printed = evaluated(command, f"run={run}")
    test = kept(run)
    inside = [np.isin(ids, [3, 8]) for ids in (test["scores"].argmax(1), test["target"])]
    assert evaluation["important_set"]["recall"] == pytest.approx(inside[0][inside[1]].mean())
    assert evaluation["important_set"]["precision"] == pytest.approx(inside[1][inside[0]].mean())
    for text in (
        "recall of 3, 8",
        "recall of 3 ",
        "recall of 8 ",
        "recall of any",
        "3 is mistaken for",
        "8 is mistaken for",
    ):
        assert text in printed
    assert set(evaluation["mistaken_for"]) == {"3", "8"}
