"""What a user may get wrong: one or two lines that say what was wrong, what was expected and what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import Command


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("important_class=99", "important_class=99: tiny has classes 0-5; 99 is not one."),
        ("important_class=-1", "important_class=-1: tiny has classes 0-5; -1 is not one."),
        ("important_class=rde", "tiny has no class of that name. Did you mean 'red'"),
        ("important_class=[1,1]", "is given more than once. Give each class once."),
        ("important_class=[]", "important_class is an empty list."),
        ("model.name=resnet81", "timm has no such model. Did you mean 'resnet18'"),
        ("model.pretrained=true", "small_cnn has no pretrained weights."),
        ("model.weights=nowhere.pth", "model.weights=nowhere.pth: there is no such file."),
        ("model.small_stem=true", "is for the ResNet family; small_cnn has no such stem"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0: expected a whole number of at least 1, -1, or null."),
        ("head=linear", "works on cosine scores, but LinearHead gives logits scores."),
        ("loss.scale=-1", "loss=camri: "),
        ("trainer.accelerator=gpu", "trainer: No supported gpu backend found!"),
        ("trainer.check_val_every_n_epoch=5", "of trainer.max_epochs=1 epochs never validates. Give at most 1."),
        ("test_checkpoint=middle", "test_checkpoint=middle: expected one of best, last."),
        ("trainer.limit_val_batches=0", "trainer.limit_val_batches=0 leaves nothing of the val split."),
        ("trainer.limit_test_batches=0", "trainer.limit_test_batches=0 leaves nothing of the test split."),
        ("callbacks.best.monitor=val/recal", "could not find the monitored key"),
        ("seed=-1", "seed=-1: expected a whole number from 0 to 4294967295."),
        ("seed=one", "seed=one: expected a whole number"),
        ("important_class=1.5", "tiny has no class of that name. It has 'red'"),
        ("model.width=0", "model.width=0: expected a number above 0"),
        ("model.embedding=0", "model.embedding=0: expected a whole number from 1 to 65536, or null."),
        ("model.freeze_epochs=-1", "model.freeze_epochs=-1: expected a whole number of at least 0."),
        ("+model.depth=2", "model.depth: train has no such key. Did you mean 'width'?"),
        ("+important_clas=1", "+important_clas: train has no key important_clas. Did you mean 'important_class'"),
        ("resume=nowhere", "there is no run to resume (no config.yaml). Give the folder of a run."),
    ],
)
def test_the_message_says_what_to_do(train: Command, override: str, message: str, tmp_path: Path) -> None:
    finished = train(override)
    assert finished.code == 1
    assert message in finished.err
    assert "Traceback" not in finished.err
    assert len(finished.err.strip().splitlines()) <= 2
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss=camry", "Could not find 'loss/camry'"),
        ("loss.margn=0.3", "Key 'margn' is not in struct"),
        ("data=cifar", "Could not find 'data/cifar'"),
    ],
)
def test_a_typo_in_a_key_or_an_option_is_an_error(train: Command, override: str, message: str) -> None:
    finished = train(override)
    assert finished.code == 1
    assert message in finished.err
    assert "Traceback" not in finished.err


def test_an_unknown_option_lists_the_known_ones(train: Command) -> None:
    assert all(name in train("loss=camry").err for name in ("camri", "arcface", "ce"))


def test_a_damaged_checkpoint_is_not_resumed(train: Command, tmp_path: Path) -> None:
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert train().code == 0
    last.write_bytes(last.read_bytes()[:-1000])
    finished = train("trainer.max_epochs=2", f"resume={tmp_path / 'run'}")
    assert finished.code == 1
    assert "last.ckpt was refused: it is damaged" in finished.err.splitlines()[-1]
    assert "Traceback" not in finished.err


def test_a_checkpoint_of_another_number_of_classes_is_not_resumed(train: Command, tmp_path: Path) -> None:
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert train().code == 0
    checkpoint = torch.load(last, weights_only=True)
    checkpoint["camri_exp"]["class_names"] = ["red", "green"]
    torch.save(checkpoint, last)
    finished = train("trainer.max_epochs=2", f"resume={tmp_path / 'run'}")
    assert finished.code == 1
    assert "last.ckpt was trained on 2 classes (red, green, …), this data has 6" in finished.err.splitlines()[-1]
    assert "Traceback" not in finished.err


def test_weights_of_another_kind_are_refused(train: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.pth").write_text("not weights")
    assert "is not a file of weights" in train(f"model.weights={tmp_path / 'notes.pth'}").err


def test_weights_of_another_architecture_are_refused(train: Command, tmp_path: Path) -> None:
    assert train(into="first").code == 0
    finished = train(
        "model=camri_cnn", "model.width=0.125", f"model.weights={tmp_path / 'first' / 'checkpoints' / 'best.ckpt'}"
    )
    assert finished.code == 1
    assert "does not fit" in finished.err


def test_weights_of_an_earlier_run_are_taken(train: Command, tmp_path: Path) -> None:
    assert train(into="first").code == 0
    assert train(f"model.weights={tmp_path / 'first' / 'checkpoints' / 'best.ckpt'}", into="second").code == 0


def test_an_output_folder_that_cannot_be_written(train: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finished = train(f"hydra.run.dir={tmp_path / 'file' / 'run'}")
    assert finished.code == 1
    assert "the results cannot be written to" in finished.err
    assert len(finished.err.strip().splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_output_folder(train: Command, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    finished = train(f"hydra.run.dir={tmp_path / 'locked' / 'run'}")
    assert finished.code == 1
    assert "the results cannot be written to" in finished.err


def test_a_truncated_picture_is_named(train: Command, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for label in ("cat", "dog"):
            folder = tmp_path / "pictures" / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(folder / f"{index}.jpg")
    broken = tmp_path / "pictures" / "train" / "cat" / "1.jpg"
    broken.write_bytes(broken.read_bytes()[:150])
    finished = train(f"data.root={tmp_path / 'pictures'}", "important_class=cat", "data.image_size=12", data="folder")
    assert finished.code == 1
    assert "1.jpg" in finished.err
    assert "Traceback" not in finished.err


def test_a_missing_data_folder_without_a_network(
    train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    finished = train(f"data.root={tmp_path / 'nowhere'}", data="gtsrb")
    assert finished.code == 1
    assert str(tmp_path / "nowhere") in finished.err
    assert "Traceback" not in finished.err


def test_a_data_folder_that_holds_something_else(train: Command, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "notes.txt").write_text("no pictures here")
    finished = train(f"data.root={tmp_path / 'pictures'}", "important_class=0", data="folder")
    assert finished.code == 1
    assert str(tmp_path / "pictures") in finished.err
    assert "Traceback" not in finished.err


def test_folder_must_be_told_the_important_class(train: Command, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    for label in ("cat", "dog"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for index in range(30):
            Image.fromarray(np.full((8, 8, 3), index, np.uint8)).save(tmp_path / "pictures" / label / f"{index}.png")
    finished = train(f"data.root={tmp_path / 'pictures'}", "data.image_size=8", data="folder")
    assert finished.code == 1
    assert "Say which class matters: important_class=<id or name>, one of 'cat', 'dog'." in finished.err


@pytest.mark.slow
def test_a_traceback_is_there_for_those_who_ask(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "camri_exp.train", "important_class=99", "logger=none"],
        env=os.environ | {"HYDRA_FULL_ERROR": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "Traceback" in finished.stderr
    assert "digits has classes 0-9; 99 is not one" in finished.stderr
