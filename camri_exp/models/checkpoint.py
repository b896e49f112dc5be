"""Checkpoints to models. A run's folder may come from an untrusted source: nothing in it is run as code."""

import pickle
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn
from yaml import YAMLError

from camri_exp.cli import register_resolvers
from camri_exp.errors import UserError
from camri_exp.models.classifier import Classifier
from camri_exp.models.factory import build_classifier
from camri_exp.models.metadata import ModelMetadata

# Errors of torch.load for files that are damaged, are not checkpoints, or hold code; found by mutating files.
REFUSED = (
    pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError,
    struct.error,
)  # fmt: skip
# The classes that the parts of a stored config may be built as. Any other ``_target_`` would be code to run.
KINDS = {"head": nn.Module, "loss": nn.Module, "data": pl.LightningDataModule}
# Modules that moved: targets of earlier versions and their replacements, so that their runs can be evaluated.
MOVED_TARGETS = {
    "camri_exp.heads.": "camri_exp.models.heads.",
    "camri_exp.callbacks.": "camri_exp.training.callbacks.",
}


@dataclass(frozen=True)
class Checkpoint:
    """The weights and the metadata of a checkpoint file."""

    path: Path
    metadata: ModelMetadata
    state_dict: dict[str, Tensor]


def load(path: str | Path) -> tuple[DictConfig, Classifier]:
    """The config of the run of a checkpoint, and its classifier in evaluation mode on the CPU.

    No data set is required. The config is the ``config.yaml`` of the run's folder, which is the parent of
    ``checkpoints/``.

    Raises:
        UserError: no such checkpoint, one that holds code or is damaged, or one without its config.
    """
    checkpoint = read_checkpoint(Path(path))
    parents = checkpoint.path.resolve().parents[:2]
    folder = next((parent for parent in parents if (parent / "config.yaml").is_file()), None)
    if folder is None:
        raise UserError(f"{path} has no config.yaml in its run's folder. Keep the files of a run together.")
    cfg = read_config(folder)
    cfg.model.update(pretrained=False, weights=None, compile=False)
    model = build_classifier(cfg, checkpoint.metadata)
    load_state(model, checkpoint)
    return cfg, model.eval()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of this project, which holds plain values and tensors only.

    Raises:
        UserError: no such file, a file that is damaged or holds anything else, such as code, or a checkpoint of another
            program or version.
    """
    if not path.is_file():
        raise UserError(f"checkpoint={path}: there is no such file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged file may look like a pickle of another protocol
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"checkpoint={path} cannot be read: {error.strerror}.") from error
    except REFUSED as error:
        raise UserError(
            f"checkpoint={path} was refused: it is damaged, or holds more than tensors and plain values. "
            "Use a checkpoint that camri_exp.train wrote."
        ) from error
    if not isinstance(content, dict) or not {"camri_exp", "state_dict"} <= set(content):
        raise UserError(
            f"checkpoint={path} is not a checkpoint of camri_exp. To train from its weights: model.weights=FILE"
        )
    metadata = ModelMetadata.from_dict(content["camri_exp"], f"checkpoint={path}")
    return Checkpoint(path, metadata, content["state_dict"])


def read_config(run: Path) -> DictConfig:
    """The ``config.yaml`` of a run's folder.

    Raises:
        UserError: it is missing or damaged, or would build something other than a head, a loss and a data module.
    """
    register_resolvers()
    path = run / "config.yaml"
    try:
        cfg = OmegaConf.load(path)
        plain = OmegaConf.to_container(cfg, resolve=True)
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(plain, dict) or not {*KINDS, "model"} <= set(plain):
        raise UserError(f"{path} is not the config of a run. Use a run that camri_exp.train wrote.")
    plain = _with_current_targets(plain)
    for key, kind in KINDS.items():
        target, *nested = list(_targets(plain[key])) or [None]
        if nested or not _is_a(target, kind, path):
            raise UserError(
                f"{path} was refused: {key}._target_={(nested or [target])[0]} is not a {kind.__name__} and would be "
                "run as code. Use a run that camri_exp.train wrote."
            )
    return OmegaConf.create(plain)


def _with_current_targets(node: Any) -> Any:
    """``node`` with each ``_target_`` of an earlier version replaced by the current one."""
    if isinstance(node, list):
        return [_with_current_targets(item) for item in node]
    if not isinstance(node, dict):
        return node
    current = {key: _with_current_targets(value) for key, value in node.items()}
    for before, now in MOVED_TARGETS.items():
        if str(current.get("_target_", "")).startswith(before):
            current["_target_"] = now + current["_target_"].removeprefix(before)
    return current


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
        imported = get_object(str(target))
    except (ImportError, ValueError) as error:
        raise UserError(f"{path}: _target_={target} cannot be imported. Install the package that has it.") from error
    return isinstance(imported, type) and issubclass(imported, kind)


def load_state(model: Classifier, checkpoint: Checkpoint) -> None:
    """Load the weights of ``checkpoint`` into ``model``.

    Raises:
        UserError: a checkpoint of other classes or of another architecture.
    """
    trained, expected = checkpoint.metadata.class_names, model.class_names
    if trained != expected:
        raise UserError(
            f"{checkpoint.path} was trained on {len(trained)} classes ({', '.join(trained[:3])}, …), this data has "
            f"{len(expected)} ({', '.join(expected[:3])}, …). Use the data that it was trained on."
        )
    try:
        model.load_state_dict(checkpoint.state_dict)
    except RuntimeError as error:
        raise UserError(
            f"{checkpoint.path} does not fit the model of this config: {str(error).splitlines()[-1].strip()}"
        ) from error
