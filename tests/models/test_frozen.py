"""Runs on the features of a frozen backbone are ordinary runs whose checkpoint and backbone are a whole model."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from camri_exp.models.checkpoint import load
from camri_exp.models.inference import Predictor
from camri_exp.results import RunResult, read_predictions
from tests.conftest import TINY_CONFIGS, TRUST, Command
from tests.helpers.runs import trained
from tests.helpers.tiny import TinyDataModule

TINY = ("data=tiny", TINY_CONFIGS, "model.width=0.5")
TRUSTED = TRUST.removeprefix("trust=").split(",")
pytestmark = pytest.mark.slow


def features_of(run: Path) -> list[Path]:
    return sorted((run.parent / "cache" / "features").glob("*.npy"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a whole network."""
    return trained(tmp_path_factory.mktemp("whole") / "run", *TINY, "loss=ce")


def on_features(whole: Path, into: Path, *overrides: object) -> Path:
    """A run on the features of the network of ``whole``."""
    weights = f"model.weights={whole / 'checkpoints' / 'best.ckpt'}"
    return trained(into, *TINY, "model.frozen=true", weights, f"++data.cache_dir={into.parent / 'cache'}", *overrides)


@pytest.fixture(scope="module", params=["camri", "ce"])
def run(request: pytest.FixtureRequest, whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    layer = ["model.embedding=3"] if request.param == "camri" else []
    return on_features(whole, tmp_path_factory.mktemp(request.param) / "run", f"loss={request.param}", *layer)


def test_the_whole_model_predicts_what_the_run_stored(run: Path) -> None:
    _, model = load(run / "checkpoints" / "best.ckpt", TRUSTED)
    data = TinyDataModule(image_size=8)
    data.setup()
    scores, _ = Predictor(model, device="cpu")(data.images("test"))
    np.testing.assert_allclose(scores, read_predictions(run / "predictions.npz")["test_scores"], atol=1e-5)


def test_the_checkpoint_holds_what_was_trained_alone(run: Path, whole: Path) -> None:
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    trained_tensors = {key for key in state if not key.startswith("loss.")}
    assert trained_tensors <= {"head.weight", "head.bias", "backbone.1.weight", "backbone.1.bias"}
    own = sum(state[key].numel() for key in trained_tensors)
    frozen = sum(p.numel() for p in load(whole / "checkpoints" / "best.ckpt", TRUSTED)[1].backbone.parameters())
    assert RunResult.of(run).parameters == frozen + own


def test_a_run_on_features_leaves_the_files_of_any_run(run: Path, whole: Path) -> None:
    assert {path.name for path in run.iterdir()} == {path.name for path in whole.iterdir()}
    assert read_predictions(run / "predictions.npz").keys() >= read_predictions(whole / "predictions.npz").keys()


def test_evaluate_and_export_use_the_whole_model(run: Path, command: Command, tmp_path: Path) -> None:
    checkpoint = f"checkpoint={run / 'checkpoints' / 'best.ckpt'}"
    evaluated = command("evaluate", checkpoint, TRUST, f"output={tmp_path}", "figures=false")
    assert evaluated.code == 0, evaluated.err
    exported = command("export", checkpoint, TRUST, f"output={tmp_path / 'model.onnx'}")
    assert exported.code == 0, exported.err
    assert (tmp_path / "model.onnx").is_file()


def test_features_are_computed_once_and_again_where_the_file_is_damaged(whole: Path, tmp_path: Path) -> None:
    run = on_features(whole, tmp_path / "a", "loss=ce")
    (file,) = features_of(run)
    expected, written = file.read_bytes(), file.stat().st_mtime_ns
    on_features(whole, tmp_path / "b", "loss=camri", "seed=1")
    assert features_of(run) == [file]
    assert file.stat().st_mtime_ns == written
    file.write_bytes(expected[: len(expected) // 2])
    on_features(whole, tmp_path / "c", "loss=ce")
    assert file.read_bytes() == expected


def test_views_have_features_of_their_own(whole: Path, tmp_path: Path) -> None:
    run = on_features(
        whole, tmp_path / "run", "loss=ce", "data.augment=true", "+data.augmentation.crop=0.2", "+data.views=2"
    )
    (file,) = features_of(run)
    first, second = np.load(file)[:97], np.load(file)[97:194]
    assert len(np.load(file)) == 2 * 97 + 37 + 41
    assert (np.abs(first - second).max(1) > 1e-3).mean() > 0.5


def test_last_layers_are_trained_anew_on_an_embedding_and_on_a_frozen_run(whole: Path, tmp_path: Path) -> None:
    first = on_features(whole, tmp_path / "first", "loss=ce", "model.embedding=3")
    second = on_features(first, tmp_path / "second", "loss=camri")
    _, model = load(first / "checkpoints" / "best.ckpt", TRUSTED)
    _, anew = load(second / "checkpoints" / "best.ckpt", TRUSTED)
    images = torch.rand(5, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(anew.backbone(images), model.backbone(images))
    assert anew.head.weight.shape == (6, 3)


def test_a_missing_backbone_is_one_error_and_a_bundled_one_is_found(
    whole: Path, tmp_path: Path, command: Command
) -> None:
    alone = on_features(whole, tmp_path / "alone", "loss=ce")
    bundled = on_features(whole, tmp_path / "bundled", "loss=ce", "model.bundle=true")
    (file,) = (tmp_path / "cache" / "features").glob("*.pt")
    shutil.rmtree(tmp_path / "cache")
    missing = command("evaluate", f"checkpoint={alone / 'checkpoints' / 'best.ckpt'}", TRUST, "figures=false")
    assert missing.code == 1
    assert f"its backbone is missing: {file}. Copy that file to" in missing.err
    load(bundled / "checkpoints" / "best.ckpt", TRUSTED)


def test_another_backbone_is_refused(whole: Path, tmp_path: Path, command: Command) -> None:
    run = on_features(whole, tmp_path / "run", "loss=ce", "model.bundle=true")
    file = run / "checkpoints" / "backbone.pt"
    content = torch.load(file, weights_only=True)
    content["state_dict"] = {key: value + 1 for key, value in content["state_dict"].items()}
    torch.save(content, file)
    refused = command("evaluate", f"checkpoint={run / 'checkpoints' / 'best.ckpt'}", TRUST, "figures=false")
    assert "holds another backbone" in refused.err


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.weights=null"], "the features of a network with random weights mean nothing"),
        (["model.weights=w.pth", "model.freeze_epochs=1"], "model.freeze_epochs=1: with model.frozen=true"),
    ],
)
def test_options_that_contradict_frozen_features(train: Command, overrides: list[str], message: str) -> None:
    refused = train("model.frozen=true", *overrides)
    assert refused.code == 1
    assert message in refused.err
