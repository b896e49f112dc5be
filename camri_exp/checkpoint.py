"""A checkpoint back to a model. A run's folder may come from anywhere: nothing in it is run as code."""

import pickle
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn
from yaml import YAMLError

from camri_exp import build
from camri_exp.classifier import Classifier
from camri_exp.cli import register_resolvers
from camri_exp.errors import UserError

SCHEMA = 1
# What torch.load raises for files that are damaged, no checkpoints, or hold code (seen with mutated files).
REFUSED = (
    pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError,
    struct.error,
)  # fmt: skip
# What the parts of a stored config may be built as. Anything else that a ``_target_`` names would be code to run.
KINDS = {"head": nn.Module, "loss": nn.Module, "data": pl.LightningDataModule}


class About:
    """What a checkpoint says of the data it was trained on; stands in for the data module where there is none."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.class_names: list[str] = values["class_names"]
        self.class_counts: list[int] = values["class_counts"]
        self.channels: int = values["channels"]
        self.image_size: int = values["image_size"]
        self.mean, self.std = tuple(values["mean"]), tuple(values["std"])


def load(path: str | Path) -> tuple[DictConfig, Classifier, dict[str, Any]]:
    """Config, classifier in evaluation mode on the CPU, and the ``about`` of a checkpoint; needs no data set.

    The config is the ``config.yaml`` of the run's folder, one above ``checkpoints/``.

    Raises:
        UserError: no such checkpoint, one that is not to be trusted, or one without its config.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path)
    folder = next((folder for folder in path.resolve().parents[:2] if (folder / "config.yaml").is_file()), None)
    if folder is None:
        raise UserError(f"{path} has no config.yaml beside its folder. Keep a run's folder together.")
    cfg, about = read_config(folder), checkpoint["camri_exp"]
    cfg.model.update(pretrained=False, weights=None, compile=False)
    model = build.classifier(cfg, About(about), about["important_class"])
    load_state(model, checkpoint, str(path))
    return cfg, model.eval(), about


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of this project: plain values and tensors.

    Raises:
        UserError: no such file, a file that holds code or anything but tensors and plain values, or a checkpoint of
            another program or version.
    """
    if not path.is_file():
        raise UserError(f"checkpoint={path}: there is no such file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged file may look like a pickle of another protocol
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"checkpoint={path} cannot be read: {error.strerror}.") from error
    except REFUSED as error:
        raise UserError(
            f"checkpoint={path} was refused: it is damaged, or holds more than tensors and plain values. "
            "Give a checkpoint that camri_exp.train wrote."
        ) from error
    if not isinstance(checkpoint, dict) or "camri_exp" not in checkpoint:
        raise UserError(
            f"checkpoint={path} is not a checkpoint of camri_exp. To start from its weights: model.weights=FILE"
        )
    if (schema := checkpoint["camri_exp"].get("schema")) != SCHEMA:
        raise UserError(f"checkpoint={path} has schema {schema}; this version of camri_exp reads {SCHEMA}.")
    return checkpoint


def read_config(run: Path) -> DictConfig:
    """The ``config.yaml`` of a run's folder.

    Raises:
        UserError: it is damaged, or would build something else than a head, a loss and a data module.
    """
    register_resolvers()
    path = run / "config.yaml"
    try:
        cfg = OmegaConf.load(path)
        plain = OmegaConf.to_container(cfg, resolve=True)
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(cfg, DictConfig) or not isinstance(plain, dict) or not {*KINDS, "model"} <= set(plain):
        raise UserError(f"{path} is not the config of a run. Give a run that camri_exp.train wrote.")
    for key, kind in KINDS.items():
        target, *nested = list(_targets(plain[key])) or [None]
        if nested or not _is_a(target, kind, path):
            raise UserError(
                f"{path} was refused: {key}._target_={(nested or [target])[0]} is no {kind.__name__}, and would be run "
                "as code. Give a run that camri_exp.train wrote."
            )
    return cfg


def _targets(node: Any) -> Iterator[Any]:
    """Every ``_target_`` in a config, the outermost first."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _is_a(target: Any, kind: type, path: Path) -> bool:
    try:
        found = get_object(str(target))
    except (ImportError, ValueError) as error:
        raise UserError(f"{path}: _target_={target} cannot be imported. Install what the run was made with.") from error
    return isinstance(found, type) and issubclass(found, kind)


def load_state(model: Classifier, checkpoint: dict[str, Any], path: str) -> None:
    """Fill ``model`` from ``checkpoint``.

    Raises:
        UserError: a checkpoint of other classes or another architecture.
    """
    names = checkpoint["camri_exp"]["class_names"]
    if names != model.class_names:
        raise UserError(
            f"{path} was trained on {len(names)} classes ({', '.join(names[:3])}, …), this data has "
            f"{len(model.class_names)} ({', '.join(model.class_names[:3])}, …). Give the data that it was trained on."
        )
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise UserError(
            f"{path} does not fit the model of this config: {str(error).splitlines()[-1].strip()}"
        ) from error
