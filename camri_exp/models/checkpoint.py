"""Checkpoints to models. A run's folder may come from an untrusted source: nothing in it is run as code."""

import math
import pickle
import struct
import warnings
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from camri_exp.errors import UserError
from camri_exp.models.backbone_file import with_backbone
from camri_exp.models.classifier import Classifier
from camri_exp.models.factory import build_classifier
from camri_exp.models.metadata import ModelMetadata
from camri_exp.stored_config import CONFIG, load_run_config

# Errors of torch.load for files that are damaged, are not checkpoints, or hold code; found by mutating files.
REFUSED = (
    pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError,
    struct.error,
)  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """The weights and the metadata of a checkpoint file."""

    path: Path
    metadata: ModelMetadata
    state_dict: dict[str, Tensor]


def load(path: str | Path, trusted: Collection[str] = ()) -> tuple[DictConfig, Classifier]:
    """The config of the run of a checkpoint, and its classifier in evaluation mode on the CPU.

    No data set is required. The config is the ``config.yaml`` of the run's folder, which is the parent of
    ``checkpoints/``. ``trusted`` are classes outside of this package that the config may name.

    Raises:
        UserError: no such checkpoint, one that holds code or is damaged, or one without its config.
    """
    checkpoint = read_checkpoint(Path(path))
    parents = checkpoint.path.resolve().parents[:2]
    folder = next((parent for parent in parents if (parent / CONFIG).is_file()), None)
    if folder is None:
        raise UserError(f"{path} has no config.yaml in its run's folder. Keep the files of a run together.")
    cfg = load_run_config(folder, trusted=trusted)
    cfg.model.update(pretrained=False, weights=None, compile=False)
    if (frozen := checkpoint.metadata.frozen) is not None:
        checkpoint = replace(checkpoint, state_dict=with_backbone(checkpoint.state_dict, frozen, checkpoint.path))
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
    checkpoint = Checkpoint(path, metadata, content["state_dict"])
    if reason := _unusable(checkpoint):
        raise UserError(f"checkpoint={path} was refused: {reason}, so that its predictions would mean nothing.")
    return checkpoint


def _unusable(checkpoint: Checkpoint) -> str | None:
    """Why the values of a checkpoint cannot predict, or None."""
    metadata, state = checkpoint.metadata, checkpoint.state_dict
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        return "its state_dict is not a dictionary of tensors"
    if not (len(metadata.mean) == len(metadata.std) == metadata.channels):
        return f"it has {len(metadata.mean)} means and {len(metadata.std)} standard deviations for as many channels"
    if not all(map(math.isfinite, [*metadata.mean, *metadata.std])) or min(metadata.std) <= 0:
        return "its mean or standard deviation is not finite or not above 0"
    if not set(metadata.important_class) <= set(range(len(metadata.class_names))):
        return "its important class is not one of its classes"
    broken = next(
        (name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()), None
    )
    return None if broken is None else f"its weights hold NaN or infinity ({broken})"


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
