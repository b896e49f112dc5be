"""Evaluating a run from its files or its checkpoint: the same numbers, checked against scikit-learn and by hand."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from camri_exp.metrics import intervals, threshold
from tests.finished import mixed_pictures, trained

FIGURES = {"recall_accuracy", "confusion", "recall_per_class", "reliability"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    top = tmp_path_factory.mktemp("evaluate")
    return {loss: trained(top / loss, "data=digits", f"loss={loss}", "model.width=0.5") for loss in ("camri", "ce")}


def evaluated(command, *arguments, name="evaluation.json"):
    finished = command("evaluate", *arguments, "output=out")
    assert finished.code == 0, finished.err
    with open(f"out/{name}", encoding="utf-8") as file:
        return json.load(file), finished.out


def kept(run, split="test"):
    with np.load(run / "predictions.npz") as file:
        return {name.removeprefix(f"{split}_"): file[name] for name in file.files if name.startswith(split)}


def pictures(folder):
    return {path.stem for path in folder.glob("*.png")}


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


def test_predictions_alone_are_enough(runs, command, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("result.json", "predictions.npz"):
        shutil.copy(runs["camri"] / name, bare)
    found, told = evaluated(command, f"run={bare}")
    assert found["calibration"] is None
    assert found["angles"]["weights"] is None
    assert "No calibration" in told
    assert pictures(tmp_path / "out" / "figures") == (FIGURES | {"angles"}) - {"reliability"}


def test_files_stand_beside_the_run_unless_told_otherwise(runs, command, tmp_path):
    run = tmp_path / "copy, a=b"
    shutil.copytree(runs["ce"], run)
    assert command("evaluate", f"checkpoint={run}/checkpoints/best.ckpt").code == 0
    assert (run / "evaluation.json").is_file()
    assert pictures(run / "figures") == FIGURES | {"missed"}
    first = (run / "evaluation.json").read_bytes()
    assert command("evaluate", f"run={run}", "split=val", "figures=false").code == 0
    assert json.loads((run / "evaluation_val.json").read_text())["split"] == "val"
    assert (run / "evaluation.json").read_bytes() == first


def test_training_images_are_evaluated_from_a_checkpoint(runs, command):
    found, _ = evaluated(
        command, f"checkpoint={runs['ce']}/checkpoints/best.ckpt", "split=train", "figures=false",
        name="evaluation_train.json",
    )  # fmt: skip
    assert found["images"] == sum(row["support"] for row in found["per_class"]) > 1000


def test_a_run_made_on_a_gpu_in_half_precision_is_evaluated_without_one(runs, command, tmp_path):
    run = tmp_path / "gpu"
    shutil.copytree(runs["camri"], run)
    text = (run / "config.yaml").read_text()
    changed = text.replace("accelerator: cpu", "accelerator: gpu").replace("precision: 32-true", "precision: 16-mixed")
    assert changed.count("gpu") >= 1
    assert "16-mixed" in changed
    (run / "config.yaml").write_text(changed)
    found, _ = evaluated(command, f"checkpoint={run}/checkpoints/best.ckpt", "device=cpu")
    assert found["accuracy"] == json.loads((run / "result.json").read_text())["test"]["accuracy"]


class Code:
    def __reduce__(self):
        return (print, ("code of the checkpoint ran",))


@pytest.mark.parametrize("name", ["evaluate", "predict", "export"])
def test_a_checkpoint_that_holds_code_is_refused_by_every_command(runs, command, tmp_path, name):
    run = tmp_path / "evil"
    shutil.copytree(runs["ce"], run)
    torch.save({"camri_exp": Code()}, run / "checkpoints" / "best.ckpt")
    more = {"evaluate": (), "predict": ("images=.",), "export": ("output=m.onnx",)}[name]
    finished = command(name, f"checkpoint={run}/checkpoints/best.ckpt", *more)
    assert finished.code == 1
    assert "was refused" in finished.err
    assert "code of the checkpoint ran" not in finished.out


def test_data_of_other_classes_is_refused(command, tmp_path):
    root = mixed_pictures(tmp_path / "data")
    run = trained(tmp_path / "run", "data=folder", f"data.root={root}", "data.image_size=16", "important_class=dark")
    other = tmp_path / "other"
    shutil.copytree(root, other)
    (other / "dark").rename(other / "murky")
    finished = command("evaluate", f"checkpoint={run}/checkpoints/best.ckpt", f"data.root={other}")
    assert finished.code == 1
    assert "trained on 2 classes (dark, light, very, …)" in finished.err
    assert "murky" in finished.err
    # The data set itself may have moved.
    root.rename(tmp_path / "moved")
    found, _ = evaluated(command, f"checkpoint={run}/checkpoints/best.ckpt", f"data.root={tmp_path / 'moved'}")
    assert found["class_names"] == ["dark", "light, very"]
    with Image.open(tmp_path / "out" / "figures" / "missed.png") as picture:
        assert picture.size[0] > 400


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "either checkpoint=PATH"),
        (("run=.", "checkpoint=x"), "either checkpoint=PATH"),
        (("run=nowhere",), "no result.json"),
        (("checkpoint=nowhere.ckpt",), "no such file"),
        (("run=RUN", "split=tets"), "expected one of train, val, test"),
        (("run=RUN", "split=train"), "kept no predictions of split=train"),
        (("run=RUN", "output=RUN/result.json/x"), "Give output=DIR"),
        (("run=RUN", "compare=nowhere"), "no result.json"),
        (("checkpoint=RUN/checkpoints/best.ckpt", "device=tpu9"), "no such device"),
    ],
)
def test_wrong_input_is_told_in_a_line(runs, command, arguments, told):
    finished = command("evaluate", *(text.replace("RUN", str(runs["ce"])) for text in arguments))
    assert finished.code == 1
    assert told in finished.err
    assert len(finished.err.splitlines()) <= 2


def test_help_starts_without_torch():
    code = (
        "import sys\n"
        "sys.argv = ['camri_exp.evaluate', '--help']\n"
        "from camri_exp.evaluate import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "compare=OTHER_RUN" in done.stdout


def test_two_dimensional_features_are_drawn_on_circles_side_by_side(command, tmp_path):
    """``experiment=features_2d`` as its users start it, for an epoch."""
    finished = command(
        "train", "experiment=features_2d", "trainer.max_epochs=1", "trainer.enable_progress_bar=false",
        "trainer.accelerator=cpu", "model.width=0.5", f"hydra.sweep.dir={tmp_path / 'sweep'}",
    )  # fmt: skip
    assert finished.code == 0, finished.err
    lines = [line.strip() for line in finished.out.splitlines() if line.startswith("  loss=")]
    assert [line.split(": ")[0] for line in lines] == ["loss=l2_softmax", "loss=camri, loss.margin=0.8"]
    with Image.open(tmp_path / "sweep" / "features.png") as picture:
        assert picture.size[0] > picture.size[1]
    runs = sorted(path.parent for path in (tmp_path / "sweep").glob("*/result.json"))
    found, _ = evaluated(command, f"run={runs[0]}", f"compare={runs[1]}")
    assert "features" in pictures(tmp_path / "out" / "figures")
    nearest = found["angles"]["weights"]["nearest_to_important"]["3"]
    assert f"3 to {nearest['class']}: {np.degrees(nearest['angle']):.1f}°" in finished.out
