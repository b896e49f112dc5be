"""The file of a frozen backbone, which many checkpoints of heads share."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from camri_exp.errors import UserError, first_line
from camri_exp.files import atomic_path, locked
from camri_exp.models.metadata import FrozenBackbone

BUNDLED = "backbone.pt"
ADVICE = "Give another folder: data.cache_dir=DIR"


def store(network: nn.Module, architecture: str, features: int, embedding: int | None, folder: Path) -> FrozenBackbone:
    """Store the weights of ``network`` in ``folder``, once for all runs; returns what a checkpoint records of it."""
    state = network.state_dict()
    digest = _digest(state, architecture)
    file = folder / f"backbone-{digest}.pt"
    with locked(folder / f"{file.name}.lock", ADVICE):
        if not file.is_file():
            with atomic_path(file) as temporary:
                torch.save({"architecture": architecture, "state_dict": state}, temporary)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return FrozenBackbone(digest, os.path.abspath(file), features, parameters, embedding)


def bundle(frozen: FrozenBackbone, run_dir: Path) -> None:
    """Copy the file of a backbone to the checkpoints of a run."""
    target = run_dir / "checkpoints" / BUNDLED
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        shutil.copyfile(frozen.file, temporary)


def with_backbone(state: Mapping[str, Tensor], frozen: FrozenBackbone, checkpoint: Path) -> dict[str, Tensor]:
    """The weights of a whole model: ``state``, those of its head, and those of its backbone.

    The file of the backbone is looked for next to ``checkpoint``, where ``model.bundle=true`` puts it, and where it was
    stored.

    Raises:
        UserError: there is no such file, or it holds other weights.
    """
    bundled = checkpoint.with_name(BUNDLED)
    file = next((place for place in (bundled, Path(frozen.file)) if place.is_file()), None)
    if file is None:
        raise UserError(
            f"checkpoint={checkpoint} holds a head alone, and its backbone is missing: {frozen.file}. Copy that file "
            f"to {bundled}, or train with model.bundle=true."
        )
    prefix = "backbone.0." if any(key.startswith("backbone.") for key in state) else "backbone."
    return {**state, **{prefix + key: value for key, value in _read(file, frozen.digest).items()}}


def _read(file: Path, digest: str) -> dict[str, Tensor]:
    """The weights in ``file``, which have this digest."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        state: dict[str, Any] = content["state_dict"]
        found = _digest(state, content["architecture"])
    except Exception as error:  # torch raises errors of many types for damaged files
        raise UserError(f"{file} is not the file of a backbone: {first_line(error)}. Copy it again.") from error
    if found != digest:
        raise UserError(f"{file} holds another backbone ({found}) than the head was trained on ({digest}).")
    return state


def _digest(state: Mapping[str, Tensor], architecture: str) -> str:
    digest = hashlib.sha256(architecture.encode())
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]
