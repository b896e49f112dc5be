"""Two runs on the same images; images that come in groups; several important classes."""

import json
import shutil

import numpy as np
import pytest

from camri_exp.metrics import intervals
from tests.helpers.evaluations import evaluated, kept


def test_two_runs_are_compared_on_the_same_images_in_any_order(runs, command, tmp_path):
    found, told = evaluated(command, f"run={runs['camri']}", f"compare={runs['ce']}")
    mine, other = kept(runs["camri"]), kept(runs["ce"])
    right = [run["scores"].argmax(1) == run["target"] for run in (mine, other)]
    wanted = intervals.paired(*right)
    accuracy = found["comparison"]["accuracy"]
    assert accuracy["difference"] == right[0].mean() - right[1].mean()
    assert (accuracy["only_mine"], accuracy["p_value"]) == (wanted.only_mine, wanted.p_value)
    recall = found["comparison"]["recall of 8"]
    assert recall["difference"] == pytest.approx(np.subtract(*(hit[mine["target"] == 8].mean() for hit in right)))
    assert "McNemar's exact p" in told

    shuffled = tmp_path / "shuffled"
    shutil.copytree(runs["ce"], shuffled)
    order = np.random.default_rng(0).permutation(len(other["target"]))
    with np.load(shuffled / "predictions.npz") as file:
        arrays = {name: file[name][order] if name.startswith("test") else file[name] for name in file.files}
    np.savez(shuffled / "predictions.npz", **arrays)
    again, _ = evaluated(command, f"run={runs['camri']}", f"compare={shuffled}")
    assert again["comparison"]["accuracy"] == accuracy


def test_what_cannot_be_compared_says_why(runs, command, tmp_path):
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
    result = json.loads((runs["ce"] / "result.json").read_text())
    (tmp_path / "labels" / "result.json").write_text(json.dumps(result | {"class_names": list("abcdefghij")}))
    finished = command("evaluate", f"run={runs['camri']}", f"compare={tmp_path / 'labels'}", "output=out")
    assert "the same classes" in finished.err


def grouped(run, into, important=(8,)):
    """The run's files as if six frames each showed one thing in validation; test files know nothing of it."""
    shutil.copytree(run, into)
    with np.load(run / "predictions.npz") as file:
        arrays = {name: file[name] for name in file.files}
    order = np.argsort(arrays["val_target"], kind="stable")
    arrays = {name: value[order] if name.startswith("val") else value for name, value in arrays.items()}
    arrays["val_group"] = np.array([f"track {i // 6}" for i in range(len(order))])
    np.savez(into / "predictions.npz", **arrays)
    result = json.loads((run / "result.json").read_text())
    result |= {"important_class": list(important), "important_class_names": [str(k) for k in important]}
    (into / "result.json").write_text(json.dumps(result))
    return into


def test_frames_of_one_thing_are_drawn_together_and_the_test_split_says_what_it_lacks(runs, command, tmp_path):
    run = grouped(runs["camri"], tmp_path / "grouped")
    found, told = evaluated(command, f"run={run}", "split=val", f"compare={run}", name="evaluation_val.json")
    by_group = found["intervals"]["accuracy"]["by_group"]
    val = kept(run, "val")
    wanted = intervals.cluster_bootstrap(val["scores"].argmax(1) == val["target"], val["group"])
    assert (by_group["low"], by_group["high"]) == (wanted.low, wanted.high)
    assert by_group["groups"] == len(set(val["group"]))
    assert f"over {by_group['groups']} groups {wanted.low:.4f} to {wanted.high:.4f}" in told
    assert found["comparison"]["resampled"] == "groups"
    found, told = evaluated(command, f"run={run}", "figures=false")
    assert "by_group" not in found["intervals"]["accuracy"]
    assert "test files do not say which belong together" in told


def test_several_important_classes_have_a_row_each_and_one_for_all(runs, command, tmp_path):
    run = grouped(runs["ce"], tmp_path / "several", important=(3, 8))
    found, told = evaluated(command, f"run={run}")
    test = kept(run)
    inside = [np.isin(ids, [3, 8]) for ids in (test["scores"].argmax(1), test["target"])]
    assert found["important_set"]["recall"] == pytest.approx(inside[0][inside[1]].mean())
    assert found["important_set"]["precision"] == pytest.approx(inside[1][inside[0]].mean())
    for text in ("recall of 3, 8", "recall of 3 ", "recall of 8 ", "recall of any", "3 is taken for", "8 is taken for"):
        assert text in told
    assert set(found["mistaken_for"]) == {"3", "8"}
