"""A run's folder is data: code in it is refused, and what does not fit ends in an error that says so."""

import os
import pickle
import random
import shutil

import pytest
import torch
import yaml

from camri_exp.errors import UserError
from camri_exp.models.checkpoint import load, read_checkpoint
from tests.helpers.runs import mixed_images, trained


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    top = tmp_path_factory.mktemp("checkpoint")
    return trained(top / "run", "data=digits", "loss=logit_adjusted", "model.width=0.5")


class RunsCode:
    """Makes ``folder`` when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("command_line", ["evaluate", "predict", "export"])
def test_a_checkpoint_that_holds_code_is_refused_and_the_code_not_run(run, command, tmp_path, new_format, command_line):
    folder = shutil.copytree(run, tmp_path / "copy")
    path, made = folder / "checkpoints" / "best.ckpt", tmp_path / "made"
    content = torch.load(path, weights_only=True) | {"extra": RunsCode(made)}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    more = {"evaluate": (), "predict": ("images=.",), "export": ("output=m.onnx",)}[command_line]
    finished = command(command_line, f"checkpoint={path}", *more)
    assert finished.code == 1
    assert "refused" in finished.err
    assert len(finished.err.splitlines()) == 1
    assert not made.exists()


@pytest.mark.parametrize("key", ["loss", "head", "data"])
def test_a_config_that_would_run_code_is_refused_and_the_code_not_run(run, command, tmp_path, key):
    folder, made = shutil.copytree(run, tmp_path / "copy"), tmp_path / "made"
    plain = yaml.safe_load((folder / "config.yaml").read_text())
    for wrong in (
        {"_target_": "os.mkdir", "path": str(made)},
        plain[key] | {"more": [{"_target_": "os.mkdir", "path": str(made)}]},
    ):
        (folder / "config.yaml").write_text(yaml.safe_dump(plain | {key: wrong}))
        for argument in (f"checkpoint={folder}/checkpoints/best.ckpt", f"run={folder}"):
            finished = command("evaluate", argument, "figures=false")
            assert not made.exists()
            if argument.startswith("run=") and key != "loss":  # of a finished run, only the loss is built
                assert finished.code == 0, finished.err
                continue
            assert finished.code == 1
            assert f"{key}._target_=os.mkdir is not an option of camri_exp and would be run as code" in finished.err


def test_any_damage_ends_in_one_or_two_lines(run, tmp_path):
    whole, path, draw = (run / "checkpoints" / "best.ckpt").read_bytes(), tmp_path / "x.ckpt", random.Random(0)
    start = whole.index(b"data.pkl")
    samples = [b"", b"hello", whole[: len(whole) // 2], pickle.dumps([print]), pickle.dumps({"a": 1}), whole[:-30]]
    for _ in range(150):
        copy = bytearray(whole)
        copy[start + draw.randrange(6000)] = draw.randrange(256)
        samples.append(bytes(copy))
    messages = []
    for sample in samples:
        path.write_bytes(sample)
        try:
            read_checkpoint(path)
        except UserError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert max(len(message.splitlines()) for message in messages) <= 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "not a checkpoint of camri_exp"),
        (torch.ones(3), "not a checkpoint of camri_exp"),
        ({"camri_exp": {"schema": 99}, "state_dict": {}}, "schema 99"),
    ],
)
def test_checkpoints_of_other_programs_are_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(UserError, match=message):
        read_checkpoint(tmp_path / "x.ckpt")


def test_a_checkpoint_without_its_config_is_refused(run, tmp_path):
    shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path)
    with pytest.raises(UserError, match=r"no config\.yaml"):
        load(tmp_path / "best.ckpt")


def test_a_checkpoint_of_another_architecture_is_refused(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "copy")
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("width: 0.5", "width: 1.0"))
    with pytest.raises(UserError, match="does not fit the model"):
        load(folder / "checkpoints" / "best.ckpt")


def test_data_of_other_classes_is_refused(tmp_path, command):
    root = mixed_images(tmp_path / "data")
    folder = trained(
        tmp_path / "run", "data=folder", f"data.root={root}", "data.image_size=16", "important_class=dark",
        "data.batch_size=8", "data.cache_dir=" + str(tmp_path / "cache"),
    )  # fmt: skip
    (root / "dark").rename(root / "darker")
    finished = command("evaluate", f"checkpoint={folder}/checkpoints/best.ckpt")
    assert finished.code == 1
    assert "trained on 2 classes (dark, light, very, …)" in finished.err
    assert "(darker, light, very, …)" in finished.err


def test_a_checkpoint_loads_on_a_machine_without_a_gpu(run, tmp_path, monkeypatch):
    folder = shutil.copytree(run, tmp_path / "copy")
    text = (folder / "config.yaml").read_text()
    text = text.replace("accelerator: cpu", "accelerator: gpu").replace("precision: 32-true", "precision: 16-mixed")
    (folder / "config.yaml").write_text(text)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    _, model = load(folder / "checkpoints" / "best.ckpt")
    assert not model.training
    assert next(model.parameters()).device.type == "cpu"
    assert model.metadata.class_names == [str(k) for k in range(10)]


def test_the_normalisation_follows_the_metadata_and_is_not_in_the_weights(run):
    """Older checkpoints have no such tensors, and newer ones load in older versions."""
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert not {"mean", "std"} & set(content["state_dict"])
    _, model = load(run / "checkpoints" / "best.ckpt")
    assert (model.mean.flatten() / 255).tolist() == pytest.approx(content["camri_exp"]["mean"])
    assert (model.std.flatten() / 255).tolist() == pytest.approx(content["camri_exp"]["std"])


@pytest.mark.parametrize("loss", ["logit_adjusted", "camri"])
def test_a_run_of_an_earlier_version_loads_and_is_evaluated(run, command, tmp_path, loss):
    """Stored with the targets and the callbacks as they were before heads and callbacks moved."""
    folder = shutil.copytree(
        run if loss == "logit_adjusted" else trained(tmp_path / "run", "loss=camri"), tmp_path / "copy"
    )
    cfg, _ = load(folder / "checkpoints" / "best.ckpt")
    stored = yaml.safe_load((folder / "config.yaml").read_text())
    now = stored["head"]["_target_"]
    stored["head"]["_target_"] = now.replace("camri_exp.models.heads", "camri_exp.heads")
    stored["callbacks"]["metrics_csv"] = {"_target_": "camri_exp.callbacks.MetricsCSV"}
    stored["baseline"] = stored.pop("ranking_sweep")
    del stored["identity"]
    (folder / "config.yaml").write_text(yaml.safe_dump(stored))

    older, model = load(folder / "checkpoints" / "best.ckpt")
    assert older.head == cfg.head
    assert older.callbacks.metrics_csv["_target_"] == "camri_exp.training.callbacks.MetricsCSV"
    assert model.has_cosine_scores == (loss == "camri")
    finished = command("evaluate", f"run={folder}", "figures=false")
    assert finished.code == 0, finished.err
