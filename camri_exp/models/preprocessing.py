"""The preprocessing that the weights of a model were trained with."""

from pathlib import Path
from typing import get_args

import torch
from omegaconf import DictConfig

from camri_exp.data.base import ImageDataModule
from camri_exp.data.preprocessing import Interpolation, ModelPreprocessing, Resize
from camri_exp.errors import UserError
from camri_exp.models.cnns import CNNS
from camri_exp.models.metadata import ModelMetadata

RESIZE_OF_TIMM: dict[str, Resize] = {"center": "crop", "squash": "squeeze", "border": "pad"}


def adopt_preprocessing(data: ImageDataModule, model: DictConfig) -> None:
    """Let ``data``, before its ``setup``, prepare images as the pretrained weights of the config ``model`` expect.

    Without such weights nothing changes, unless ``data.normalize=model`` asks for the statistics of the architecture.

    Raises:
        UserError: ``data.normalize=model`` for a model without a preprocessing of its own.
    """
    pretrained = bool(model.get("pretrained")) or model.get("weights") is not None
    if not pretrained and data.normalize != "model":
        return
    own = _of_checkpoint(model.get("weights")) or _of_timm(model.name)
    if own is not None:
        data.adopt(own, geometry=pretrained)
    elif data.normalize == "model":
        raise UserError(
            f"data.normalize=model: {model.name} has no mean and standard deviation of its own. Use normalize=data."
        )


def _of_checkpoint(weights: str | None) -> ModelPreprocessing | None:
    """That of a checkpoint of this project; None where ``weights`` is no such file. Errors are left to the loading."""
    if weights is None or not Path(weights).is_file():
        return None
    try:
        content = torch.load(weights, map_location="cpu", weights_only=True, mmap=True)
        stored = content["camri_exp"]
    except Exception:  # torch raises errors of many types for files of other formats
        return None
    return ModelMetadata.from_dict(stored, f"model.weights={weights}").own_preprocessing


def _of_timm(name: str) -> ModelPreprocessing | None:
    """That of the weights that timm has for the model, by ``resolve_data_config``; None for other models."""
    if name in CNNS:
        return None
    import timm

    if (pretrained := timm.get_pretrained_cfg(name, allow_unregistered=True)) is None:
        return None
    config = timm.data.resolve_data_config(pretrained_cfg=pretrained.to_dict())
    known = config["interpolation"] in get_args(Interpolation)
    return ModelPreprocessing(
        resize=RESIZE_OF_TIMM.get(config["crop_mode"], "crop"),
        crop_fraction=float(config["crop_pct"]),
        interpolation=config["interpolation"] if known else "bicubic",
        mean=tuple(map(float, config["mean"])),
        std=tuple(map(float, config["std"])),
    )
