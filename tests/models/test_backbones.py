"""Backbones: the CNN of the paper, and timm models by name."""

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

from camri_exp.errors import UserError
from camri_exp.models import backbones, hub


def test_camri_cnn_is_that_of_the_paper() -> None:
    model, features = backbones.create("camri_cnn", channels=3, image_size=32)
    assert features == 512
    convolutions = [m.out_channels for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert convolutions == [64] * 3 + [128] * 3 + [256] * 5 + [512] * 2
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules()) == 4
    head = 512 * 10
    assert sum(p.numel() for p in model.parameters()) + head == pytest.approx(6.9e6, rel=0.01)
    images = torch.randn(2, 3, 32, 32)
    assert (model.eval()(images) < 0).any(), "no ReLU after the embedding"


def test_width_scales_the_channels() -> None:
    _, features = backbones.create("camri_cnn", channels=1, image_size=8, width=0.25)
    assert features == 128


NO_TIMM = """
import sys
import torch
from camri_exp.models import backbones

for name in ("camri_cnn", "small_cnn"):
    model, features = backbones.create(name, channels=3, image_size=16)
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, features)
print("timm" in sys.modules)
"""


@pytest.mark.slow
def test_the_cnns_of_this_project_do_not_import_timm() -> None:
    """timm takes longer to import than the rest of the start."""
    assert subprocess.check_output([sys.executable, "-c", NO_TIMM], text=True).strip() == "False"


@pytest.mark.parametrize(
    ("name", "size", "channels"),
    [("resnet18", 33, 1), ("mobilenetv3_small_050", 40, 3), ("vit_tiny_patch16_224", 48, 3), ("convnext_atto", 32, 1)],
)
def test_feature_size_comes_from_a_dry_forward(name: str, size: int, channels: int) -> None:
    """For mobilenetv3, timm's num_features is not the size of the output."""
    model, features = backbones.create(name, channels=channels, image_size=size)
    assert model(torch.zeros(2, channels, size, size)).shape == (2, features)


def test_small_stem_keeps_the_resolution_and_the_middle_of_the_kernel() -> None:
    torch.manual_seed(0)
    plain, _ = backbones.create("resnet18", channels=3, image_size=32)
    torch.manual_seed(0)
    small, _ = backbones.create("resnet18", channels=3, image_size=32, small_stem=True)
    assert small.conv1(torch.zeros(1, 3, 32, 32)).shape[-1] == 32
    assert isinstance(small.maxpool, torch.nn.Identity)
    torch.testing.assert_close(small.conv1.weight, plain.conv1.weight[:, :, 2:5, 2:5])


def test_embedding_adds_a_linear_layer() -> None:
    model, features = backbones.create("small_cnn", channels=1, image_size=8, embedding=2)
    assert features == 2
    assert model(torch.zeros(3, 1, 8, 8)).shape == (3, 2)


def test_weights_from_a_file_also_for_grey_images(tmp_path: Path) -> None:
    source = timm.create_model("resnet18", num_classes=7)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    same, _ = backbones.create("resnet18", channels=3, image_size=32, weights=str(tmp_path / "weights.pth"))
    torch.testing.assert_close(same.layer1[0].conv1.weight, source.layer1[0].conv1.weight)
    grey, _ = backbones.create("resnet18", channels=1, image_size=32, weights=str(tmp_path / "weights.pth"))
    torch.testing.assert_close(grey.conv1.weight, source.conv1.weight.sum(1, keepdim=True))


def test_weights_from_a_file_for_a_small_stem(tmp_path: Path) -> None:
    """The middle of the kernels of the usual stem is loaded; those of a small stem are loaded unchanged."""
    source = timm.create_model("resnet18", num_classes=0)
    torch.save(source.state_dict(), tmp_path / "usual.pth")
    small, _ = backbones.create("resnet18", 3, 32, small_stem=True, weights=str(tmp_path / "usual.pth"))
    torch.testing.assert_close(small.conv1.weight, source.conv1.weight[:, :, 2:5, 2:5])
    torch.save(small.state_dict(), tmp_path / "small.pth")
    same, _ = backbones.create("resnet18", 3, 32, small_stem=True, weights=str(tmp_path / "small.pth"))
    torch.testing.assert_close(same.conv1.weight, small.conv1.weight)
    with pytest.raises(UserError, match=r"does not fit: 1 of \d+ tensors"):
        backbones.create("resnet18", 3, 32, weights=str(tmp_path / "small.pth"))


def test_weights_from_a_file_for_another_image_size(tmp_path: Path) -> None:
    """The position embeddings of a transformer are resampled, as timm does for the weights that it downloads."""
    source = timm.create_model("vit_tiny_patch16_224", num_classes=5)
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    model, _ = backbones.create("vit_tiny_patch16_224", 3, 64, weights=str(tmp_path / "vit.pth"))
    assert model.pos_embed.shape[1] == 1 + 4 * 4
    torch.testing.assert_close(model.pos_embed[:, 0], source.pos_embed[:, 0])
    torch.testing.assert_close(model.blocks[0].mlp.fc1.weight, source.blocks[0].mlp.fc1.weight)
    with pytest.raises(UserError, match="does not fit"):
        backbones.create("vit_small_patch16_224", 3, 64, weights=str(tmp_path / "vit.pth"))


def test_an_image_size_that_the_model_does_not_support() -> None:
    with pytest.raises(UserError, match="inception_v3 does not support 32 x 32 images"):
        backbones.create("inception_v3", channels=3, image_size=32)


def test_pretrained_without_a_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no route to the hub\nand more")

    monkeypatch.setattr(hub, "is_reachable", lambda: True)
    monkeypatch.setattr(timm, "create_model", no_network)
    with pytest.raises(UserError, match=r"weights of resnet18 could not be loaded \(no route to the hub\)") as caught:
        backbones.create("resnet18", channels=3, image_size=32, pretrained=True)
    assert "model.weights=FILE" in str(caught.value)


def test_width_is_for_the_cnns_of_this_project_only() -> None:
    with pytest.raises(UserError, match="resnet18 has one width only"):
        backbones.create("resnet18", channels=3, image_size=32, width=2)
