"""Images to features: any timm backbone, and the CNNs of ``cnns``.

``create`` is the one entry point; it returns the backbone and the number of features that a dry forward gives (timm's
``num_features`` is not always what comes out). timm is imported only where one of its models is asked for: with
everything that it imports, it takes longer than the rest of the start.
"""

import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camri_exp.errors import UserError, first_line, nearest
from camri_exp.models.cnns import CNNS


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
        name: any of timm's names, ``camri_cnn`` or ``small_cnn``.
        width: multiplies the channels of the two CNNs of this project.
        pretrained: timm's weights, downloaded.
        weights: a file of weights instead: a state dict (.pth, .safetensors) or a checkpoint of this project.
        embedding: adds a linear layer to so many features.
        small_stem: the ResNet family on small pictures: 3x3 convolution with stride 1, no max-pooling.

    Raises:
        UserError: an unknown name, weights that are not to be had or do not fit, an image size the model cannot take.
    """
    if width <= 0:
        raise UserError(f"model.width={width}: expected a number above 0; 1 is the network as it was designed.")
    if embedding is not None and embedding < 1:
        raise UserError(f"model.embedding={embedding}: expected a number of features, or null for the backbone's own.")
    backbone = _cnn(name, channels, width, pretrained) or _timm_model(name, channels, image_size, width, pretrained)
    if small_stem:
        _shrink_stem(backbone, name)
    if weights is not None:
        load_weights(backbone, weights, small_stem)
    features = _dry_forward(backbone, name, channels, image_size)
    if embedding is not None:
        return nn.Sequential(backbone, nn.Linear(features, embedding)), embedding
    return backbone, features


def _cnn(name: str, channels: int, width: float, pretrained: bool) -> nn.Module | None:
    """One of this project's own CNNs, None for any other name."""
    if name in CNNS and pretrained:
        raise _no_pretrained_weights(name)
    return CNNS[name](channels, width) if name in CNNS else None


def _no_pretrained_weights(name: str) -> UserError:
    return UserError(
        f"model.pretrained=true: {name} has no pretrained weights. Leave it out, or give model.weights=FILE."
    )


def _timm_model(name: str, channels: int, image_size: int, width: float, pretrained: bool) -> nn.Module:
    import timm

    if not timm.is_model(name):
        raise UserError(f"model.name={name}: timm has no such model.{nearest(name, [*CNNS, *timm.list_models()])}")
    if width != 1:
        raise UserError(f"model.width={width}: {name} comes in one width only. Leave it at 1, or use camri_cnn.")
    options: dict[str, Any] = {}
    pretrained_cfg = timm.get_pretrained_cfg(name)
    if pretrained_cfg is not None and pretrained_cfg.fixed_input_size:
        options["img_size"] = image_size
    if pretrained and not timm.models.is_model_pretrained(name):
        raise _no_pretrained_weights(name)
    try:
        return timm.create_model(name, pretrained=pretrained, in_chans=channels, num_classes=0, **options)
    except Exception as error:  # whatever timm or the hub raises, the user reads one line of it
        if pretrained:
            raise UserError(
                f"model.pretrained=true: the weights of {name} could not be had ({first_line(error)}).\n"
                "Without a network, give a file that holds them: model.weights=FILE"
            ) from error
        raise UserError(
            f"model.name={name} cannot be built for {image_size} x {image_size} pictures: {first_line(error)}"
        ) from error


def _dry_forward(backbone: nn.Module, name: str, channels: int, image_size: int) -> int:
    training = backbone.training
    try:
        with torch.no_grad():
            features = backbone.eval()(torch.zeros(1, channels, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UserError(
            f"{name} cannot take {image_size} x {image_size} pictures: {first_line(error)}. "
            "Give a larger data.image_size, or another model."
        ) from error
    backbone.train(training)
    return features.shape[1]


def _shrink_stem(backbone: nn.Module, name: str) -> None:
    stem = getattr(backbone, "conv1", None)
    first = stem[0] if isinstance(stem, nn.Sequential) else stem
    if not isinstance(first, nn.Conv2d) or not hasattr(backbone, "maxpool"):
        raise UserError(f"model.small_stem=true is for the ResNet family; {name} has no such stem. Leave it out.")
    conv = nn.Conv2d(first.in_channels, first.out_channels, 3, stride=1, padding=1, bias=first.bias is not None)
    with torch.no_grad():  # pretrained weights survive as the middle of the larger kernel
        conv.weight.copy_(_middle(first.weight))
    if isinstance(stem, nn.Sequential):
        stem[0] = conv
    else:
        backbone.conv1 = conv
    backbone.maxpool = nn.Identity()


def _middle(kernels: Tensor) -> Tensor:
    """The middle 3x3 of kernels (out, in, k, k), k odd."""
    edge = (kernels.shape[-1] - 3) // 2
    return kernels[..., edge : edge + 3, edge : edge + 3]


def load_weights(backbone: nn.Module, path: str, small_stem: bool = False) -> None:
    """Fill ``backbone`` from a file; classifier weights in it are left out, everything else must fit.

    The first convolution is adapted to grey pictures and to a small stem, and what timm adapts to another image size
    (the position embeddings of transformers) is, as timm does it for its own downloads.

    Raises:
        UserError: no such file, not a file of weights, or weights of another architecture.
    """
    import timm

    if not Path(path).is_file():
        raise UserError(f"model.weights={path}: there is no such file.")
    try:
        found = timm.models.load_state_dict(path, use_ema=False, weights_only=True)
    except Exception as error:  # torch and safetensors each have their own ways to say no
        raise UserError(f"model.weights={path} is not a file of weights: {first_line(error)}") from error
    found = {key.removeprefix("backbone."): value for key, value in found.items()}
    wanted = backbone.state_dict()
    first = getattr(backbone, "pretrained_cfg", {}).get("first_conv")
    key = f"{first}.weight"
    if key in found and key in wanted and found[key].shape[1] != wanted[key].shape[1]:
        found[key] = timm.models.adapt_input_conv(wanted[key].shape[1], found[key])
    if small_stem and key in found:
        found[key] = _middle(found[key])
    wrong = _misfits(found, wanted)
    if wrong:
        found = _resampled(found, backbone)
        wrong = _misfits(found, wanted)
    if wrong:
        raise UserError(
            f"model.weights={path} does not fit: {len(wrong)} of {len(wanted)} tensors are missing or of another shape "
            f"(first: {wrong[0]}). Give weights of the same architecture."
        )
    backbone.load_state_dict({key: found[key] for key in wanted})


def _misfits(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    return [key for key, value in wanted.items() if key not in found or found[key].shape != value.shape]


def _resampled(found: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """What the architecture's own filter in timm makes of ``found``; itself where there is none, or it cannot."""
    adapt = getattr(inspect.getmodule(type(backbone)), "checkpoint_filter_fn", None)
    try:
        return adapt(dict(found), backbone) if adapt else found
    except Exception:  # made for weights of this architecture, it may stumble over any others
        return found
