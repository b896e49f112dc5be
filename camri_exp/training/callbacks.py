"""Lightning callbacks: progress bar, metrics.csv, reseeding, predictions, paths of resumed checkpoints."""

import csv
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, ProgressBar
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from tqdm import tqdm

from camri_exp.data.base import ImageDataModule
from camri_exp.files import atomic_write
from camri_exp.metrics.angle_metric import own_angle
from camri_exp.models.classifier import EvaluationBatch
from camri_exp.results import Predictions, SplitPredictions

log = logging.getLogger(__name__)
PATHS_OF_CHECKPOINTS = ("best_model_path", "kth_best_model_path", "last_model_path")


class ReseedEachEpoch(Callback):
    """Seeds dropout and augmentation by (seed, epoch, process): a resumed run draws what an undisturbed one does."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        sequence = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank])
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))


class RebaseCheckpointPaths(Callback):
    """Points the paths in a resumed checkpoint to the run's own folder.

    ModelCheckpoint stores absolute paths, which are wrong in a run that was moved or copied: it would forget which
    epoch was the best. Of a stored path only the file name is kept, because ModelCheckpoint deletes what these paths
    name, and a checkpoint may come from anywhere.
    """

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        states = checkpoint.get("callbacks", {})
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and (key := callback.state_key) in states:
                folder, state = str(callback.dirpath), states[key]
                paths = {name: _moved(state[name], folder) for name in PATHS_OF_CHECKPOINTS if name in state}
                scores = {_moved(path, folder): score for path, score in state.get("best_k_models", {}).items()}
                states[key] = {**state, **paths, "best_k_models": scores, "dirpath": folder}


def _moved(path: object, folder: str) -> str:
    """The path in ``folder`` of the file ``path``; an empty path, which stands for no file, stays empty."""
    name = Path(str(path)).name
    return str(Path(folder) / name) if name else ""


class MetricsCSV(Callback):
    """Writes ``metrics.csv`` in ``run_dir``: a row per epoch, a column per metric. A resumed run continues the file.

    Epochs without a validation leave its columns empty.
    """

    def __init__(self, run_dir: str) -> None:
        self.path = Path(run_dir) / "metrics.csv"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        row = {"epoch": trainer.current_epoch, "step": trainer.global_step} | epoch_metrics(trainer)
        if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1):  # Lightning keeps the earlier values
            row = {key: value for key, value in row.items() if not key.startswith("val/")}
        rows = [earlier for earlier in self._read() if int(earlier["epoch"]) < trainer.current_epoch]
        write_rows(self.path, [*rows, formatted(row)])

    def _read(self) -> list[dict[str, str]]:
        """The rows so far. A damaged file is set aside, because it is not worth the loss of a training run."""
        if not self.path.exists():
            return []
        try:
            with open(self.path, newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            if all(row.get("epoch", "").isdecimal() and None not in (*row, *row.values()) for row in rows):
                return rows
        except (ValueError, csv.Error):
            pass
        aside = self.path.with_name("metrics_damaged.csv")
        os.replace(self.path, aside)
        log.warning("%s was damaged: it begins anew, and the earlier file is %s", self.path, aside.name)
        return []


def formatted(row: Mapping[str, float]) -> dict[str, str]:
    """The values of a row of ``metrics.csv`` as its text."""
    return {key: format(value, ".7g") for key, value in row.items()}


def write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write ``metrics.csv`` atomically."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with atomic_write(path, newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def epoch_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """The metrics of the epoch that just ended, and the learning rate after it."""
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return metrics | {"train/lr": trainer.optimizers[0].param_groups[0]["lr"]}


class CollectPredictions(Callback):
    """Collects the predictions of whole splits when the chosen checkpoint is validated, tested, and run on them.

    ``splits`` maps ``val``, ``calibration`` and ``test`` to their predictions in the order of the split, whatever
    the order of the batches and the number of processes.
    """

    def __init__(self) -> None:
        self.splits: Predictions = {}
        self._batches: list[tuple[Tensor, Tensor, Tensor]] = []

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            self._add(*args, **kwargs)

    def on_test_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self._add(*args, **kwargs)

    def on_predict_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self._add(*args, **kwargs)

    def _add(self, pl_module: pl.LightningModule, outputs: Tensor, batch: EvaluationBatch, *_: object) -> None:
        target, index = batch[1:]
        self._batches.append((outputs.float().cpu(), target.cpu(), index.cpu()))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            self._finish("val", trainer, pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._finish("test", trainer, pl_module)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._finish("calibration", trainer, pl_module)

    def _finish(self, split: str, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        tensors = gathered(self._batches, trainer.world_size)
        self._batches = []
        order = tensors[2].argsort()
        scores, target, index = (tensor[order] for tensor in tensors)
        data = cast(Any, trainer).datamodule
        self.splits[split] = split_predictions(data, split, index, scores, target, bool(pl_module.has_cosine_scores))


def split_predictions(
    data: ImageDataModule, split: str, index: Tensor, scores: Tensor, target: Tensor, has_cosine_scores: bool
) -> SplitPredictions:
    """The predictions of the images at the positions ``index`` of a split."""
    angle = own_angle(scores, target).numpy() if has_cosine_scores else None
    names = np.asarray(data.names(split), dtype=np.str_)[index]
    groups = data.groups(split)
    known = None if groups is None else np.asarray(groups, dtype=np.str_)[index]
    return SplitPredictions(scores.numpy(), target.numpy(), names, known, angle)


def gathered(batches: Sequence[tuple[Tensor, ...]], world_size: int) -> list[Tensor]:
    """The tensors of all ``batches`` of all processes, joined and on the CPU."""
    tensors = [torch.cat(parts).cpu() for parts in zip(*batches, strict=True)]
    if world_size > 1:
        shares: list[Any] = [None] * world_size
        torch.distributed.all_gather_object(shares, tensors)
        tensors = [torch.cat(parts) for parts in zip(*shares, strict=True)]
    return tensors


class EpochProgressBar(ProgressBar):
    """One bar over all epochs; without a terminal, a line in the log per epoch."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        done = trainer.current_epoch * int(self.total_train_batches)
        total = int(trainer.max_epochs or 0) * int(self.total_train_batches)
        self._bar = tqdm(
            total=total or None,
            initial=done,
            unit="step",
            dynamic_ncols=True,
            leave=False,
            disable=None if self._enabled and trainer.is_global_zero else True,  # None: off without a terminal
        )

    def on_train_batch_end(self, *_: Any) -> None:
        self._bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = epoch_metrics(trainer)
        shown = {"loss": "train/loss", "accuracy": "val/accuracy", "recall": "val/recall_important"}
        text = ", ".join(f"{short} {metrics.get(name, math.nan):.4f}" for short, name in shown.items())
        self._bar.set_description_str(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {text}")
        if trainer.is_global_zero:
            log.info("epoch %d/%s: %s", trainer.current_epoch + 1, trainer.max_epochs, text)

    def on_train_end(self, *_: Any) -> None:
        self._bar.close()

    def on_exception(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.close()
