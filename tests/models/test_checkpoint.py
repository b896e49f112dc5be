"""A run's folder is data: what would run as code is refused, and what does not fit says so."""

import os
import pickle
import random
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from camri_exp.errors import UserError
from camri_exp.models.checkpoint import load, read_checkpoint
from tests.helpers.runs import mixed_pictures, trained


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    top = tmp_path_factory.mktemp("checkpoint")
    return trained(top / "run", "data=digits", "loss=logit_adjusted", "model.width=0.5")


class Burglar:
    def __init__(self, loot):
        self.loot = loot

    def __reduce__(self):
        return os.mkdir, (str(self.loot),)


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("command_line", ["evaluate", "predict", "export"])
def test_a_checkpoint_that_holds_code_is_refused_and_the_code_not_run(run, command, tmp_path, new_format, command_line):
    folder = shutil.copytree(run, tmp_path / "copy")
    path, loot = folder / "checkpoints" / "best.ckpt", tmp_path / "loot"
    content = torch.load(path, weights_only=True) | {"extra": Burglar(loot)}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    more = {"evaluate": (), "predict": ("images=.",), "export": ("output=m.onnx",)}[command_line]
    finished = command(command_line, f"checkpoint={path}", *more)
    assert finished.code == 1
    assert "refused" in finished.err
    assert len(finished.err.splitlines()) == 1
    assert not loot.exists()


@pytest.mark.parametrize("key", ["loss", "head", "data"])
def test_a_config_that_would_run_code_is_refused_and_the_code_not_run(run, command, tmp_path, key):
    folder, loot = shutil.copytree(run, tmp_path / "copy"), tmp_path / "loot"
    plain = yaml.safe_load((folder / "config.yaml").read_text())
    for wrong in (
        {"_target_": "os.mkdir", "path": str(loot)},
        plain[key] | {"more": [{"_target_": "os.mkdir", "path": str(loot)}]},
    ):
        (folder / "config.yaml").write_text(yaml.safe_dump(plain | {key: wrong}))
        for arguments in ((f"checkpoint={folder}/checkpoints/best.ckpt",), (f"run={folder}",)):
            finished = command("evaluate", *arguments)
            assert finished.code == 1
            assert f"{key}._target_=os.mkdir is no " in finished.err
            assert not loot.exists()


def test_any_damage_ends_in_a_line(run, tmp_path):
    whole, path, draw = (run / "checkpoints" / "best.ckpt").read_bytes(), tmp_path / "x.ckpt", random.Random(0)
    start = whole.index(b"data.pkl")
    samples = [b"", b"hello", whole[: len(whole) // 2], pickle.dumps([print]), pickle.dumps({"a": 1}), whole[:-30]]
    for _ in range(150):
        copy = bytearray(whole)
        copy[start + draw.randrange(6000)] = draw.randrange(256)
        samples.append(bytes(copy))
    told = []
    for sample in samples:
        path.write_bytes(sample)
        try:
            read_checkpoint(path)
        except UserError as error:
            told.append(str(error))
    assert len(told) > 20
    assert max(len(message.splitlines()) for message in told) <= 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"state_dict": {}}, "not a checkpoint of camri_exp"),
        (torch.ones(3), "not a checkpoint of camri_exp"),
        ({"camri_exp": {"schema": 99}}, "schema 99"),
    ],
)
def test_other_programs_checkpoints_are_told(tmp_path, content, told):
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(UserError, match=told):
        read_checkpoint(tmp_path / "x.ckpt")


def test_a_checkpoint_alone_asks_for_its_config(run, tmp_path):
    shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path)
    with pytest.raises(UserError, match=r"no config\.yaml"):
        load(tmp_path / "best.ckpt")


def test_a_checkpoint_of_another_architecture_says_so(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "copy")
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("width: 0.5", "width: 1.0"))
    with pytest.raises(UserError, match="does not fit the model"):
        load(folder / "checkpoints" / "best.ckpt")


def test_data_of_other_classes_is_told(tmp_path, command):
    root = mixed_pictures(tmp_path / "data")
    folder = trained(
        tmp_path / "run", "data=folder", f"data.root={root}", "data.image_size=16", "important_class=dark",
        "data.batch_size=8", "data.cache_dir=" + str(tmp_path / "cache"),
    )  # fmt: skip
    (root / "dark").rename(root / "darker")
    finished = command("evaluate", f"checkpoint={folder}/checkpoints/best.ckpt")
    assert finished.code == 1
    assert "trained on 2 classes (dark, light, very, …)" in finished.err
    assert "(darker, light, very, …)" in finished.err


def test_paths_of_another_machine_do_not_matter(run, tmp_path, monkeypatch):
    """A checkpoint works where nothing of the training machine exists, such as its GPU."""
    folder = shutil.copytree(run, tmp_path / "copy")
    text = (folder / "config.yaml").read_text()
    text = text.replace("accelerator: cpu", "accelerator: gpu").replace("precision: 32-true", "precision: 16-mixed")
    (folder / "config.yaml").write_text(text)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    _, model, about = load(folder / "checkpoints" / "best.ckpt")
    assert not model.training
    assert next(model.parameters()).device.type == "cpu"
    assert about["class_names"] == [str(k) for k in range(10)]
    assert Path(folder).is_dir()
