"""Exported models give the outputs of PyTorch, in batches of any size, and without this package."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from camri_exp.deploy import parity
from camri_exp.evaluation.operating_point import bias_of_checkpoint
from camri_exp.metrics.threshold import moved
from tests.helpers.runs import trained

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def runs(runs, tmp_path_factory):
    """The two runs of the session, and one with scores that are neither logits nor cosines."""
    into = tmp_path_factory.mktemp("export") / "mse_outlying"
    return runs | {into.name: trained(into, "data=digits", f"loss={into.name}", "model.width=0.5")}


def exported(command, run, name, *more):
    finished = command("export", f"checkpoint={run}/checkpoints/best.ckpt", f"output={name}", *more)
    assert finished.code == 0, finished.err
    return finished.out


def digits(run, split):
    """Pixels of a split from scikit-learn and their stored scores, in the order of the stored predictions."""
    kept = np.load(run / "predictions.npz")
    grey = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    return grey[[int(name.split()[1]) for name in kept[f"{split}_name"]]][:, None], kept[f"{split}_scores"]


@pytest.mark.parametrize("loss", ["camri", "ce", "mse_outlying"])
def test_onnxruntime_gives_the_scores_of_the_test_run(runs, command, loss):
    printed = exported(command, runs[loss], "model.onnx")
    session = onnxruntime.InferenceSession("model.onnx")
    pixels, expected = digits(runs[loss], "test")
    scores, probabilities, prediction = session.run(None, {"images": pixels})
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    bias = bias_of_checkpoint(runs[loss] / "checkpoints" / "best.ckpt")
    assert prediction.dtype == np.int64
    np.testing.assert_array_equal(prediction, moved(expected, [8], bias))
    assert "largest difference" in printed
    assert "64 predictions the same" in printed
    for size in (1, 3, 17):
        np.testing.assert_allclose(session.run(["scores"], {"images": pixels[:size]})[0], expected[:size], atol=1e-4)


def test_the_margin_is_in_the_probabilities_only(runs, command):
    """The probabilities estimate P(k | x), for which the loss needs its margin."""
    exported(command, runs["camri"], "model.onnx")
    graph = onnx.load("model.onnx").graph
    assert [value.name for value in graph.input] == ["images"]
    assert [value.name for value in graph.output] == ["scores", "probabilities", "prediction"]
    for output in ("scores", "prediction"):
        nodes = ancestors(graph, output)
        used = {name for node in nodes for name in node.input}
        assert not {"Cos", "Sin", "Acos"} & {node.op_type for node in nodes}
        for constant in graph.initializer:
            is_margin = np.isclose(onnx.numpy_helper.to_array(constant).astype(float), 4 * np.pi / 64).any()
            assert constant.name not in used or not is_margin, constant.name


def ancestors(graph, output):
    """The nodes that a value is computed from."""
    maker = {name: node for node in graph.node for name in node.output}
    found, names = {}, [output]
    while names:
        if (node := maker.get(names.pop())) is not None and node.name not in found:
            found[node.name] = node
            names.extend(node.input)
    return list(found.values())


def test_the_metadata_of_a_file(runs, command):
    exported(command, runs["ce"], "model.onnx", "bias=0.25")
    values = onnxruntime.InferenceSession("model.onnx").get_modelmeta().custom_metadata_map
    metadata = {key: json.loads(value) for key, value in values.items()}
    assert metadata["class_names"] == [str(digit) for digit in range(10)]
    assert (metadata["important_class"], metadata["important_class_names"]) == ([8], ["8"])
    assert (metadata["image_size"], metadata["channels"], metadata["bias"]) == (8, 1, 0.25)
    assert (metadata["data"], metadata["loss"], metadata["model"]) == ("digits", "ce", "small_cnn")
    checkpoint = torch.load(runs["ce"] / "checkpoints" / "best.ckpt", weights_only=True)["camri_exp"]
    assert (metadata["mean"], metadata["std"]) == (checkpoint["mean"], checkpoint["std"])


def test_a_torch_program_has_the_same_scores_and_metadata(runs, command):
    exported(command, runs["camri"], "model.pt2", "format=torch")
    extra = {"camri_exp.json": ""}
    program = torch.export.load("model.pt2", extra_files=extra).module()
    pixels, expected = digits(runs["camri"], "test")
    for size in (1, 3, len(pixels)):
        scores, _, prediction = program(torch.from_numpy(pixels[:size]))
        assert prediction.shape == (size,)
        np.testing.assert_allclose(scores.detach().numpy(), expected[:size], atol=1e-4)
    assert json.loads(extra["camri_exp.json"])["important_class"] == [8]


def test_the_bias_of_an_unfinished_run_is_zero_and_the_output_says_why(runs, command, tmp_path):
    folder = tmp_path / "moved" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "best.ckpt").write_bytes((runs["ce"] / "checkpoints" / "best.ckpt").read_bytes())
    (tmp_path / "moved" / "config.yaml").write_text((runs["ce"] / "config.yaml").read_text())
    printed = exported(command, tmp_path / "moved", "model.onnx")
    assert "+0 because" in printed
    assert "result.json" in printed


def test_other_images_can_be_used_for_the_comparison(runs, command, tmp_path):
    Image.new("RGB", (30, 20), "grey").save(tmp_path / "one.jpg")
    assert "compared with PyTorch on 1 images" in exported(command, runs["ce"], "model.onnx", "images=one.jpg")


def test_a_file_that_differs_is_not_kept(runs, command, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "TOLERANCE", 0.0)
    (tmp_path / "model.onnx").write_text("an earlier one")
    finished = command("export", f"checkpoint={runs['ce']}/checkpoints/best.ckpt", "output=model.onnx")
    assert finished.code == 1
    assert "differs from PyTorch" in finished.err
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_text() == "an earlier one"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "checkpoint=PATH and output=FILE"),
        (("output=m.onnx", "format=tflite"), "expected one of onnx, torch"),
        (("output=m.onnx", "format=torch"), "ends in .pt2"),
        (("output=m.onnx", "bias=much"), "a number, or auto"),
        (("output=m.onnx", "bias=inf"), "a number, or auto"),
        (("output=m.onnx", "images=nowhere"), "no such file or folder"),
        (("output=m.onnx", "check_images=0"), "expected a whole number from 1 to 10000"),
    ],
)
def test_wrong_input_ends_in_one_or_two_lines(runs, command, arguments, message):
    given = (f"checkpoint={runs['ce']}/checkpoints/best.ckpt", *arguments) if arguments else ()
    finished = command("export", *given)
    assert finished.code == 1
    assert message in finished.err
    assert len(finished.err.splitlines()) <= 2


def snippet(document):
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    return next(block for block in blocks if "onnxruntime" in block)


@pytest.mark.parametrize("document", ["README.md", "docs/deploy.md"])
def test_the_program_in_the_documentation_classifies_an_image_without_this_package(runs, command, document, tmp_path):
    exported(command, runs["camri"], "model.onnx", "bias=auto")
    pixels, expected = digits(runs["camri"], "test")
    program = snippet(document)
    (tmp_path / "use.py").write_text(program)
    (name,) = re.findall(r'Image\.open\("(.+?)"\)', program)
    blocked = "import sys; sys.modules.update(camri_exp=None, torch=None); exec(open('use.py').read())"
    for i in (0, 5):
        Image.fromarray(pixels[i, 0]).save(tmp_path / name)
        done = subprocess.run([sys.executable, "-c", blocked], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        prediction, probability = done.stdout.split()
        bias = json.loads(
            onnxruntime.InferenceSession("model.onnx").get_modelmeta().custom_metadata_map["bias"]
        ) * (np.arange(10) == 8)  # fmt: skip
        assert prediction == str((expected[i] + bias).argmax())
        assert 0 < float(probability) <= 1
