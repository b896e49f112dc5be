"""Images to features: any timm backbone, and the CNNs of ``cnns``.

``create`` returns the backbone and the number of its features, from a dry forward pass, because timm's ``num_features``
is not always the size of the output. timm is imported only for its own models: with everything that it imports, this
takes longer than the rest of the start.
"""

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camri_exp.errors import UserError, first_line, nearest
from camri_exp.models import hub
from camri_exp.models.backbone_file import with_backbone
from camri_exp.models.cnns import CNNS
from camri_exp.models.metadata import FrozenBackbone, ModelMetadata


def create(
    name: str,
    channels: int,
    image_size: int,
    *,
    width: float = 1.0,
    pretrained: bool = False,
    weights: str | None = None,
    embedding: int | None = None,
    small_stem: bool = False,
) -> tuple[nn.Module, int]:
    """A backbone ``(N, channels, image_size, image_size) -> (N, D)`` and D.

    Args:
        name: the name of a timm model, ``camri_cnn`` or ``small_cnn``.
        channels: C.
        image_size: H and W.
        width: multiplies the channels of the two CNNs of this project.
        pretrained: use the weights that timm downloads, unless ``weights`` are given.
        weights: a file of weights: a state dict (.pth, .safetensors) or a checkpoint of this project.
        embedding: number of outputs of a linear layer that is added to the backbone.
        small_stem: for ResNets on small images: a 3x3 convolution with stride 1 and no max-pooling.

    Raises:
        UserError: an unknown name, weights that cannot be loaded or do not fit, or an unsupported image size.
    """
    if width <= 0:
        raise UserError(f"model.width={width}: expected a number above 0; 1 is the network as it was designed.")
    if embedding is not None and embedding < 1:
        raise UserError(f"model.embedding={embedding}: expected a number of features, or null for no such layer.")
    backbone = _build(name, channels, image_size, width, pretrained and weights is None)
    if small_stem:
        _shrink_stem(backbone, name)
    if weights is not None:
        load_weights(backbone, weights, small_stem)
    features = _dry_forward(backbone, name, channels, image_size)
    return with_embedding(backbone, features, embedding)


def with_embedding(backbone: nn.Module, features: int, embedding: int | None) -> tuple[nn.Module, int]:
    """``backbone`` followed by a linear layer of ``embedding`` outputs, or as it is, and the number of its outputs."""
    if embedding is None:
        return backbone, features
    return nn.Sequential(backbone, nn.Linear(features, embedding)), embedding


def _no_pretrained_weights(name: str) -> UserError:
    return UserError(f"model.pretrained=true: {name} has no pretrained weights. Omit it, or use model.weights=FILE.")


def _build(name: str, channels: int, image_size: int, width: float, pretrained: bool) -> nn.Module:
    """A CNN of this project, or a timm model."""
    if name in CNNS and pretrained:
        raise _no_pretrained_weights(name)
    if name in CNNS:
        return CNNS[name](channels, width)
    import timm

    if not timm.is_model(name):
        raise UserError(f"model.name={name}: timm has no such model.{nearest(name, [*CNNS, *timm.list_models()])}")
    if width != 1:
        raise UserError(f"model.width={width}: {name} has one width only. Use model.width=1, or model=camri_cnn.")
    options: dict[str, Any] = {}
    pretrained_cfg = timm.get_pretrained_cfg(name)
    if pretrained_cfg is not None and pretrained_cfg.fixed_input_size:
        options["img_size"] = image_size
    if pretrained and not timm.models.is_model_pretrained(name):
        raise _no_pretrained_weights(name)
    offline = pretrained and not hub.is_reachable()
    try:
        with hub.offline(offline):
            return timm.create_model(name, pretrained=pretrained, in_chans=channels, num_classes=0, **options)
    except Exception as error:  # timm and the hub raise errors of many types
        if pretrained:
            reason = f"{hub.endpoint()} cannot be reached" if offline else first_line(error)
            raise UserError(
                f"model.pretrained=true: the weights of {name} could not be loaded ({reason}).\n"
                "Without a network, use a file of weights: model.weights=FILE"
            ) from error
        raise UserError(
            f"model.name={name} cannot be built for {image_size} x {image_size} images: {first_line(error)}"
        ) from error


def _dry_forward(backbone: nn.Module, name: str, channels: int, image_size: int) -> int:
    training = backbone.training
    try:
        with torch.no_grad():
            features = backbone.eval()(torch.zeros(1, channels, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UserError(
            f"{name} does not support {image_size} x {image_size} images: {first_line(error)}. "
            "Use a larger data.image_size, or another model."
        ) from error
    backbone.train(training)
    return features.shape[1]


def _shrink_stem(backbone: nn.Module, name: str) -> None:
    stem = getattr(backbone, "conv1", None)
    first = stem[0] if isinstance(stem, nn.Sequential) else stem
    if not isinstance(first, nn.Conv2d) or not hasattr(backbone, "maxpool"):
        raise UserError(f"model.small_stem=true is for the ResNet family; {name} has no such stem. Omit it.")
    conv = nn.Conv2d(first.in_channels, first.out_channels, 3, stride=1, padding=1, bias=first.bias is not None)
    with torch.no_grad():  # of pretrained weights, the middle of the larger kernel is kept
        conv.weight.copy_(_middle(first.weight))
    if isinstance(stem, nn.Sequential):
        stem[0] = conv
    else:
        backbone.conv1 = conv
    backbone.maxpool = nn.Identity()


def _middle(kernels: Tensor) -> Tensor:
    """The middle 3x3 of kernels (out, in, k, k), for odd k."""
    edge = (kernels.shape[-1] - 3) // 2
    return kernels[..., edge : edge + 3, edge : edge + 3]


def load_weights(backbone: nn.Module, path: str, small_stem: bool = False) -> None:
    """Load the weights of ``backbone`` from a file. Weights of a classifier in it are ignored, all others must fit.

    The first convolution is adapted to grey images and to a small stem. For another image size, the position embeddings
    of transformers are resampled, as timm does for the weights that it downloads.

    Raises:
        UserError: no such file, not a file of weights, or weights of another architecture.
    """
    import timm

    state, _ = split_embedding(read_weights(path))
    expected = backbone.state_dict()
    first = getattr(backbone, "pretrained_cfg", {}).get("first_conv")
    key = f"{first}.weight"
    if key in state and key in expected and state[key].shape[1] != expected[key].shape[1]:
        state[key] = timm.models.adapt_input_conv(expected[key].shape[1], state[key])
    if small_stem and key in state:
        state[key] = _middle(state[key])
    wrong = _mismatches(state, expected)
    if wrong:
        state = _resampled(state, backbone)
        wrong = _mismatches(state, expected)
    if wrong:
        raise UserError(
            f"model.weights={path} does not fit: {len(wrong)} of {len(expected)} tensors are missing or of another "
            f"shape (first: {wrong[0]}). Use weights of the same architecture."
        )
    backbone.load_state_dict({key: state[key] for key in expected})


def read_weights(path: str) -> dict[str, Tensor]:
    """The weights in a file, with those of a model of this project named as its backbone names them.

    Raises:
        UserError: no such file, or not a file of weights.
    """
    import timm

    if not Path(path).is_file():
        raise UserError(f"model.weights={path}: there is no such file.")
    try:
        state = timm.models.load_state_dict(path, use_ema=False, weights_only=True)
    except Exception as error:  # torch and safetensors raise errors of many types
        raise UserError(f"model.weights={path} is not a file of weights: {first_line(error)}") from error
    if (frozen := _frozen_backbone(path)) is not None:
        state = with_backbone(state, frozen, Path(path))
    return {key.removeprefix("backbone."): value for key, value in state.items()}


def _frozen_backbone(path: str) -> FrozenBackbone | None:
    """The backbone of a checkpoint of this project that holds a head alone."""
    if Path(path).suffix != ".ckpt":
        return None
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or "camri_exp" not in content:
        return None
    return ModelMetadata.from_dict(content["camri_exp"], f"model.weights={path}").frozen


def split_embedding(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of a backbone, and those of the linear layer that ``with_embedding`` put after it, else nothing."""
    first = {key.removeprefix("0."): value for key, value in state.items() if key.startswith("0.")}
    layer = {key.removeprefix("1."): value for key, value in state.items() if key.startswith("1.")}
    if not first or set(layer) != {"weight", "bias"} or layer["weight"].ndim != 2:
        return state, {}
    return first, layer


def _mismatches(state: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    """The tensors of ``expected`` that ``state`` lacks or has in another shape."""
    return [key for key, value in expected.items() if key not in state or state[key].shape != value.shape]


def _resampled(state: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """``state`` after timm's filter for this architecture; unchanged where there is none, or where it fails."""
    adapt = getattr(inspect.getmodule(type(backbone)), "checkpoint_filter_fn", None)
    try:
        return adapt(dict(state), backbone) if adapt else state
    except Exception:  # it is written for weights of this architecture, and fails in many ways for others
        return state
