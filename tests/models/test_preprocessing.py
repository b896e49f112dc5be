"""With pretrained weights, images are prepared as the weights expect, in training and wherever the model is used."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from omegaconf import OmegaConf
from PIL import Image

from camri_exp.data.digits import DigitsDataModule
from camri_exp.data.folder import FolderDataModule
from camri_exp.errors import UserError
from camri_exp.models.checkpoint import load
from camri_exp.models.preprocessing import adopt_preprocessing
from tests.helpers.runs import mixed_images, trained
from tests.test_export import snippet

MODEL = "tf_efficientnet_lite0"
OWN = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def model(**options):
    return OmegaConf.create({"name": MODEL, "pretrained": False, "weights": None} | options)


def adopted(root: Path, options, **arguments) -> FolderDataModule:
    data = FolderDataModule(str(root), image_size=16, **arguments)
    adopt_preprocessing(data, model(**options))
    data.setup()
    return data


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return mixed_images(tmp_path_factory.mktemp("images") / "mine")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "lite0.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model(MODEL, pretrained=False).state_dict(), path)
    return path


def test_pretrained_weights_bring_the_preprocessing_that_timm_names(images, weights):
    for options in ({"pretrained": True}, {"weights": str(weights)}):
        data = adopted(images, options)
        expected = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(MODEL).to_dict())
        assert (data.mean, data.std) == (expected["mean"], expected["std"]) == OWN
        found = data.preprocessing
        assert (found.resize, found.crop_fraction, found.interpolation) == ("crop", 0.875, "bicubic")
        reference = timm.data.create_transform(**expected | {"input_size": (3, 16, 16)}, normalize=False)
        names = data.names("test")
        index = next(i for i, name in enumerate(names) if int(name[-7:-4]) % 5 == 0)  # plain RGB
        with Image.open(images / names[index]) as image:
            np.testing.assert_array_equal(data.images("test", [index])[0].numpy(), reference(image).numpy())


def test_keys_of_the_data_replace_those_of_the_model(images):
    data = adopted(images, {"pretrained": True}, resize="squeeze", normalize="data")
    assert (data.preprocessing.resize, data.preprocessing.crop_fraction) == ("squeeze", 1.0)
    assert data.mean != OWN[0]
    assert adopted(images, {"pretrained": True}, crop_fraction=1.0).preprocessing.crop_fraction == 1.0


def test_without_weights_nothing_changes_but_what_is_asked_for(images):
    data, plain = adopted(images, {}), FolderDataModule(str(images), image_size=16)
    plain.setup()
    assert (data.mean, data.std, data.preprocessing) == (plain.mean, plain.std, plain.preprocessing)
    asked = adopted(images, {}, normalize="model")
    assert (asked.mean, asked.preprocessing) == (OWN[0], plain.preprocessing)


def test_images_that_are_no_files_adopt_the_statistics_alone():
    digits = DigitsDataModule()
    adopt_preprocessing(digits, model(pretrained=True))
    digits.setup()
    assert digits.mean == digits.std == (0.5,)
    assert digits.preprocessing.resize == "squeeze"


def test_a_model_without_statistics_of_its_own(images):
    data = FolderDataModule(str(images), normalize="model")
    with pytest.raises(UserError, match=r"small_cnn has no mean and standard deviation of its own\. "):
        adopt_preprocessing(data, model(name="small_cnn"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, images, weights) -> Path:
    return trained(
        tmp_path_factory.mktemp("runs") / "run", "data=folder", f"data.root={images}", "data.image_size=32",
        "important_class='light, very'", "model=timm", f"model.name={MODEL}", f"model.weights={weights}",
        "scheduler=constant", "loss=ce",
    )  # fmt: skip


def test_the_checkpoint_the_export_and_the_published_program_have_it_too(run, images, command, tmp_path):
    stored = load(run / "checkpoints" / "best.ckpt")[1].metadata
    assert (stored.resize, stored.crop_fraction, stored.interpolation) == ("crop", 0.875, "bicubic")
    assert (tuple(stored.mean), tuple(stored.std)) == OWN

    kept = np.load(run / "predictions.npz")
    evaluated = command("evaluate", f"checkpoint={run}/checkpoints/best.ckpt", "figures=false", f"output={tmp_path}")
    assert evaluated.code == 0
    accuracy = json.loads((tmp_path / "evaluation.json").read_text())["accuracy"]
    assert accuracy == pytest.approx(np.mean(kept["test_scores"].argmax(1) == kept["test_target"]))

    assert command("predict", f"checkpoint={run}/checkpoints/best.ckpt", f"images={images}", "output=all.csv").code == 0
    rows = {row["path"]: row for row in csv.DictReader((tmp_path / "all.csv").read_text().splitlines())}
    scores = torch.tensor(kept["test_scores"]).softmax(1)
    for name, probability in zip(kept["test_name"], scores.max(1).values, strict=True):
        assert float(rows[f"{images}/{name}"]["probability"]) == pytest.approx(float(probability), abs=2e-6)

    exported = command("export", f"checkpoint={run}/checkpoints/best.ckpt", "output=model.onnx", "bias=0")
    assert exported.code == 0, exported.err
    meta = onnxruntime.InferenceSession("model.onnx").get_modelmeta().custom_metadata_map
    assert (meta["resize"], meta["crop_fraction"], meta["interpolation"]) == ('"crop"', "0.875", '"bicubic"')
    for name in kept["test_name"][:3]:
        program = snippet("README.md").replace("image.png", f"{images}/{name}")
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
        assert float(done.stdout.split()[-1]) == pytest.approx(float(rows[f"{images}/{name}"]["probability"]), abs=1e-4)


def test_the_weights_of_a_checkpoint_bring_its_own_preprocessing(run, images):
    data = adopted(images, {"name": "small_cnn", "weights": str(run / "checkpoints" / "best.ckpt")})
    assert (data.mean, data.preprocessing.resize, data.preprocessing.interpolation) == (OWN[0], "crop", "bicubic")


def test_a_checkpoint_of_an_earlier_version_was_trained_on_squeezed_images(run, tmp_path):
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    for name in ("resize", "crop_fraction", "interpolation"):
        del content["camri_exp"][name]
    (tmp_path / "checkpoints").mkdir()
    torch.save(content, tmp_path / "checkpoints" / "best.ckpt")
    (tmp_path / "config.yaml").write_text((run / "config.yaml").read_text())
    assert load(tmp_path / "checkpoints" / "best.ckpt")[1].metadata.preprocessing.resize == "squeeze"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.resize=stretch", "data.resize=stretch: expected one of squeeze, crop, pad or null"),
        ("data.crop_fraction=0", "data.crop_fraction=0: expected a number from 0.1 to 1, or null"),
        ("data.interpolation=sinc", "data.interpolation=sinc: expected one of nearest"),
        ("data.normalize=none", "data.normalize=none: expected one of data, model or null"),
    ],
)
def test_wrong_values(command, images, override, message):
    finished = command("train", "data=folder", f"data.root={images}", "important_class=dark", override)
    assert finished.code == 1
    assert finished.err.startswith(f"error: {message}")
    assert len(finished.err.splitlines()) == 1


def test_evaluation_decodes_no_larger_images(images, weights, tmp_path, command):
    run = trained(
        tmp_path / "run", "data=folder", f"data.root={images}", "data.image_size=32", "important_class=dark",
        "data.stored_size=36", "data.augmentation.resized_crop=0.5", "model=camri_cnn", "model.width=0.125", "loss=ce",
        f"data.cache_dir={tmp_path / 'trained'}",
    )  # fmt: skip
    evaluated = command(
        "evaluate", f"checkpoint={run}/checkpoints/best.ckpt", f"data.root={images}", "figures=false",
        f"output={tmp_path / 'out'}",
    )  # fmt: skip
    assert evaluated.code == 0, evaluated.err
    assert len([path for path in (tmp_path / "trained").iterdir() if path.is_dir()]) == 2
    sizes = {path.stat().st_size for path in (images / ".camri_cache").glob("*/pixels")}
    assert 60 * 3 * 36 * 36 not in sizes
