"""Backbones that are not trained: their weights are stored once, and their features are computed once for all runs.

Both lie in the folder ``features`` of the data set's cache. A file of features is named by a hash of the backbone, the
preprocessing and the images, so that other weights, another size or other images have another file.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from tqdm import tqdm

from camri_exp.data.base import ImageDataModule
from camri_exp.errors import UserError
from camri_exp.files import atomic_path, locked
from camri_exp.models import backbone_file, backbones
from camri_exp.models.backbone_file import ADVICE
from camri_exp.models.factory import backbone_options
from camri_exp.models.inference import choose_device
from camri_exp.models.metadata import FrozenBackbone, ModelMetadata

FOLDER = "features"
BATCH = 64  # images; fixed, so that the augmented views of two runs are the same


def use_features(cfg: DictConfig, data: ImageDataModule, metadata: ModelMetadata) -> ModelMetadata:
    """Let ``data`` make batches of the features of the frozen backbone of ``cfg``; returns the metadata with it.

    Raises:
        UserError: no weights, options that contradict ``model.frozen=true``, or files that cannot be written.
    """
    check_options(cfg)
    folder = data.cache_folder / FOLDER
    with torch.random.fork_rng():  # the head gets the same initial weights, whatever the backbone draws before
        network, frozen = frozen_backbone(cfg, metadata, folder)
        if cfg.model.channels_last:
            network.to(memory_format=torch.channels_last)
        network.to(training_device(cfg))
        data.use_features(features(network, frozen, data, folder))
    return replace(metadata, frozen=frozen)


def check_options(cfg: DictConfig) -> None:
    """Check the options of ``model.frozen=true``.

    Raises:
        UserError: no weights, or epochs that would train the head first.
    """
    if not cfg.model.pretrained and cfg.model.weights is None:
        raise UserError(
            "model.frozen=true: the features of a network with random weights mean nothing. Give weights: "
            "model.pretrained=true or model.weights=FILE"
        )
    if cfg.model.freeze_epochs:
        raise UserError(
            f"model.freeze_epochs={cfg.model.freeze_epochs}: with model.frozen=true the backbone is never trained. "
            "Omit one of them."
        )


def training_device(cfg: DictConfig) -> torch.device:
    """The device that the run of ``cfg`` uses."""
    return torch.device("cpu") if cfg.trainer.accelerator == "cpu" else choose_device(None)


def frozen_backbone(cfg: DictConfig, metadata: ModelMetadata, folder: Path) -> tuple[nn.Module, FrozenBackbone]:
    """The backbone of ``cfg`` in evaluation mode, and the record of it, whose file in ``folder`` exists then."""
    options = backbone_options(cfg) | {"embedding": None}
    network, count = backbones.create(channels=metadata.channels, image_size=metadata.image_size, **options)
    layer = {} if cfg.model.weights is None else backbones.split_embedding(backbones.read_weights(cfg.model.weights))[1]
    embedding = layer["weight"].shape[0] if layer else None
    network, count = backbones.with_embedding(network, count, embedding)
    if layer:
        cast(nn.Sequential, network)[1].load_state_dict(layer)
    network.eval().requires_grad_(False)
    architecture = f"{cfg.model.name} {cfg.model.width} {cfg.model.small_stem}"
    return network, backbone_file.store(network, architecture, count, embedding, folder)


def features(network: nn.Module, frozen: FrozenBackbone, data: ImageDataModule, folder: Path) -> dict[str, Tensor]:
    """The features of every split, (n, D), of the training split (views * n, D); computed where they are not stored.

    The tensors are mapped from the file and cannot be written to.
    """
    counts = {split: data.length(split) * (data.views if split == "train" else 1) for split in data.splits}
    shape = sum(counts.values()), frozen.features
    path = folder / f"{_fingerprint(frozen, data)}.npy"
    if (stored := _mapped(path, shape)) is None:
        with locked(path.with_suffix(".lock"), ADVICE):
            if (stored := _mapped(path, shape)) is None:  # else another process computed them while this one waited
                _write(path, shape, _computed(network, data))
                stored = _mapped(path, shape)
    assert stored is not None
    return dict(zip(counts, stored.split(list(counts.values())), strict=True))


def _fingerprint(frozen: FrozenBackbone, data: ImageDataModule) -> str:
    """A hash of all that the features depend on; the moments of each image change with its pixels."""
    augmentation = data.augmentation if data.views > 1 else None
    digest = hashlib.sha256(f"{frozen.digest} {data.image_size} {data.mean} {data.std} {data.views}".encode())
    digest.update(repr(augmentation).encode())
    digest.update(b"" if data.larger is None else str(data.larger.shape).encode())
    for split, view in data.splits.items():
        digest.update(f"{split} {len(view.target)}".encode())
        digest.update(np.ascontiguousarray(view.contents).tobytes())
        digest.update(np.ascontiguousarray(view.channel_moments).tobytes())
    return digest.hexdigest()[:20]


def _mapped(path: Path, shape: tuple[int, int]) -> Tensor | None:
    """The features in ``path``; None where it does not exist or is damaged."""
    try:
        stored = np.load(path, mmap_mode="c")  # copy on write: nothing reaches the file
    except (OSError, ValueError, EOFError):
        return None
    return torch.from_numpy(stored) if stored.shape == shape and stored.dtype == np.float32 else None


def _write(path: Path, shape: tuple[int, int], blocks: Iterator[Tensor]) -> None:
    """Write blocks of rows, ``shape`` in all, to ``path``, with a progress bar."""
    with atomic_path(path) as temporary, tqdm(total=shape[0], unit="image", desc="features", disable=None) as bar:
        stored = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
        done = 0
        for block in blocks:
            stored[done : done + len(block)] = block.cpu().numpy()
            done += len(block)
            bar.update(len(block))
        stored.flush()


def _computed(network: nn.Module, data: ImageDataModule) -> Iterator[Tensor]:
    """The features of all splits, batch by batch; the training images once per view."""
    mean, std = (torch.tensor(values)[:, None, None] * 255 for values in (data.mean, data.std))
    device = next(iter(network.parameters())).device
    for split in data.splits:
        for view in range(data.views if split == "train" else 1):
            torch.manual_seed(view)
            for start in range(0, data.length(split), BATCH):
                index = slice(start, start + BATCH)
                views = split == "train" and data.views > 1
                images = data.augmented(index) if views else data.images(split, index)
                with torch.inference_mode():
                    yield network(((images - mean) / std).to(device)).float()
