"""What happens beside the training: one progress bar, a row an epoch in metrics.csv, seeds, predictions."""

import csv
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, ProgressBar
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor
from tqdm import tqdm

from camri_exp.metrics.online import own_angle

log = logging.getLogger(__name__)


class ReseedEachEpoch(Callback):
    """Dropout and augmentation follow from (seed, epoch, process): a resumed run draws what an unbroken one draws."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        sequence = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank])
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))


class MovedRun(Callback):
    """Resume in a folder that was moved or copied: ModelCheckpoint would forget which epoch was the best."""

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        here = {
            callback.state_key: callback.dirpath
            for callback in trainer.checkpoint_callbacks
            if isinstance(callback, ModelCheckpoint)
        }
        for key, state in checkpoint.get("callbacks", {}).items():
            if here.get(key) and here[key] != state.get("dirpath"):
                checkpoint["callbacks"][key] = _moved(state, str(state["dirpath"]), str(here[key]))


def _moved(value: Any, before: str, now: str) -> Any:
    """``value`` with every path below ``before`` told as below ``now``."""
    if isinstance(value, dict):
        return {_moved(key, before, now): _moved(item, before, now) for key, item in value.items()}
    return now + value[len(before) :] if isinstance(value, str) and value.startswith(before) else value


class MetricsCSV(Callback):
    """``metrics.csv`` in the run's folder: a row an epoch, every metric a column. A resumed run goes on in it.

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
        rows.append({key: format(value, ".7g") for key, value in row.items()})
        columns = list(dict.fromkeys(key for row in rows for key in row))
        temporary = self.path.with_suffix(".tmp")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        temporary.replace(self.path)

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with open(self.path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def epoch_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """The metrics of the epoch that just ended, and the learning rate after it."""
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return metrics | {"train/lr": trainer.optimizers[0].param_groups[0]["lr"]}


class Predictions(Callback):
    """Scores and targets of a whole split, in its order, when the chosen checkpoint is validated or tested."""

    def __init__(self) -> None:
        self.splits: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._parts: list[tuple[Tensor, Tensor]] = []

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            self._keep(*args, **kwargs)

    def on_test_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self._keep(*args, **kwargs)

    def _keep(self, pl_module: pl.LightningModule, outputs: Tensor, batch: Any, *_: Any) -> None:
        self._parts.append((outputs.float().cpu(), batch[1].cpu()))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            self._finish("val", trainer)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._finish("test", trainer)

    def _finish(self, split: str, trainer: pl.Trainer) -> None:
        scores, target = (torch.cat(parts).numpy() for parts in zip(*self._parts, strict=True))
        self._parts = []
        if trainer.world_size > 1:
            shares: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(shares, (scores, target))
            scores, target = (_interleave([share[i] for share in shares]) for i in (0, 1))
        self.splits[split] = scores, target

    def arrays(self, cosines: bool) -> dict[str, np.ndarray]:
        """The arrays of ``predictions.npz``; angles to the own class where the scores are cosines."""
        arrays: dict[str, np.ndarray] = {}
        for split, (scores, target) in self.splits.items():
            arrays |= {f"{split}_scores": scores, f"{split}_target": target}
            if cosines:
                arrays[f"{split}_angle"] = own_angle(torch.from_numpy(scores), torch.from_numpy(target)).numpy()
        return arrays


def _interleave(shares: list[np.ndarray]) -> np.ndarray:
    """Undo the sharding: process r of w holds the images r, r + w, r + 2w, …"""
    whole = np.empty((sum(map(len, shares)), *shares[0].shape[1:]), shares[0].dtype)
    for rank, share in enumerate(shares):
        whole[rank :: len(shares)] = share
    return whole


class EpochBar(ProgressBar):
    """One bar over all epochs. Where nobody watches (no terminal), a line in the log an epoch instead."""

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
