"""The trainer of ``camri_exp.train`` compared with a bare PyTorch loop that does the same work; epochs alternate."""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor

from benchmarks._harness import Measurement, nothing_compiled_yet
from benchmarks._render import number
from camri_exp.cli import CONFIGS, register_resolvers
from camri_exp.identity import with_run_dir
from camri_exp.training.callbacks import CollectPredictions
from camri_exp.training.factory import build_loggers, build_optimizer, build_scheduler, build_trainer
from camri_exp.training.run import callbacks_of, prepared
from camri_exp.training.warnings import ignore_known_warnings


def config(*overrides: str) -> DictConfig:
    """The config of ``python -m camri_exp.train OVERRIDES``, with metrics.csv as the only logger."""
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", ["logger=csv", *overrides])


class BareLoop:
    """The training step of a config in a few lines of PyTorch: same model, precision, data, optimizer and schedule."""

    def __init__(self, cfg: DictConfig, device: torch.device) -> None:
        self.data, self.model = prepared(cfg)
        self.model.to(device).train()
        train = self.data.splits["train"]
        self.images, self.index, self.target = (
            tensor.to(device) for tensor in (train.images, train.index, train.target)
        )
        self.batch_size, self.steps = cfg.data.batch_size, cfg.trainer.limit_train_batches
        self.optimizer = build_optimizer(cfg)(self.model.parameters())
        self.schedule = build_scheduler(cfg)(self.optimizer, cfg.trainer.max_epochs * self.steps)
        self.autocast: Callable[[], Any] = contextlib.nullcontext
        if cfg.trainer.precision == "bf16-mixed":
            self.autocast = lambda: torch.autocast(device.type, torch.bfloat16)

    def epoch(self) -> float:
        """Train for one epoch; returns images per second."""
        order = torch.randperm(len(self.index), device=self.index.device)
        begin, count = time.perf_counter(), 0
        for start in range(0, self.steps * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            images = self.data.augmentation(self.images[self.index[chosen]])
            loss = self.step(images, self.target[chosen])
            count += len(images)
        loss.item()  # waits for the device
        return count / (time.perf_counter() - begin)

    def step(self, images: Tensor, target: Tensor) -> Tensor:
        """One training step on images with pixels in 0..255, which the model normalises; returns the loss."""
        with self.autocast():
            loss: Tensor = self.model.loss(self.model(images), target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()


@dataclass
class AlternatingEpochs(pl.Callback):
    """Runs one epoch of ``baseline`` before every epoch of the trainer.

    ``ours`` and ``against`` are the speeds of both, in images per second.
    """

    baseline: Callable[[], float]
    ours: list[float] = field(default_factory=list)
    against: list[float] = field(default_factory=list)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.against.append(self.baseline())
        self.begin, self.images = time.perf_counter(), 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self.images += len(batch[1])
        if trainer.is_last_batch:
            outputs["loss"].item()
            self.ours.append(self.images / (time.perf_counter() - self.begin))


@contextlib.contextmanager
def trainer(cfg: DictConfig, *more: pl.Callback) -> Iterator[pl.Trainer]:
    """The trainer of ``camri_exp.training.run`` with its callbacks and those of ``more``, in a temporary folder."""
    ignore_known_warnings()
    with tempfile.TemporaryDirectory() as folder:
        cfg = with_run_dir(cfg, folder)
        yield build_trainer(cfg, Path(folder), [*more, *callbacks_of(cfg, CollectPredictions())], build_loggers(cfg))


def speeds(cfg: DictConfig) -> tuple[list[float], list[float]]:
    """Images per second of the trainer and of the bare loop, per epoch, without the first epoch, which warms up."""
    alternating = AlternatingEpochs(BareLoop(cfg, device(cfg)).epoch)
    data, model = prepared(cfg)
    with trainer(cfg, alternating) as lightning:
        lightning.fit(model, datamodule=data)
    return alternating.ours[1:], alternating.against[1:]


def device(cfg: DictConfig) -> torch.device:
    return torch.device("cuda" if cfg.trainer.accelerator in ("gpu", "cuda") else "cpu")


def first_step_seconds(cfg: DictConfig) -> float:
    """Seconds of the first training step, including compilation where the config asks for it."""
    loop = BareLoop(cfg, device(cfg))
    loop.steps = 1
    begin = time.perf_counter()
    with nothing_compiled_yet():
        loop.epoch()
    return time.perf_counter() - begin


def against_bare_loop(
    what: str, target: str, epochs: int, steps: int, overrides: tuple[str, ...], quick: bool
) -> Measurement:
    """Images per second of the trainer against the bare loop, whose milliseconds per step are in the note."""
    cfg = config(
        *overrides,
        f"trainer.limit_train_batches={2 if quick else steps}",
        f"trainer.max_epochs={1 + (2 if quick else epochs)}",
        "trainer.limit_val_batches=1",
    )
    ours, against = speeds(cfg)
    step = 1e3 * cfg.data.batch_size / statistics.median(against)
    return Measurement.of(what, ours, "images/s", "bare loop", against, target, f"{number(step)} ms per step")
