"""Training as ``camri_exp.train`` does it, beside a bare PyTorch loop of the same work, an epoch of each in turn."""

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

from benchmarks._frame import Row, nothing_compiled_yet
from benchmarks._page import number
from camri_exp.cli import CONFIGS, register_resolvers
from camri_exp.data.factory import build_datamodule
from camri_exp.models.classifier import Classifier
from camri_exp.training.callbacks import EpochBar, Predictions, ReseedEachEpoch
from camri_exp.training.warnings import quieten


def config(*overrides: str) -> DictConfig:
    """The config of ``python -m camri_exp.train OVERRIDES``, with metrics.csv as the only logger."""
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", ["logger=csv", *overrides])


def parts(cfg: DictConfig) -> tuple[Any, Classifier]:
    """Data module and classifier of a config, as ``camri_exp.training.run`` makes them."""
    pl.seed_everything(cfg.seed, verbose=False)
    data = build_datamodule(cfg)
    data.prepare_data()
    data.setup("fit")
    return data, build.classifier(cfg, data, build.resolve_important(cfg, data))


class BareLoop:
    """The training step of a config in a few lines of PyTorch: same model, precision, data, optimizer and schedule."""

    def __init__(self, cfg: DictConfig, device: torch.device) -> None:
        self.data, self.model = parts(cfg)
        self.model.to(device).train()
        self.images = self.data.splits["train"].images.to(device)
        self.index, self.target = (getattr(self.data.splits["train"], name).to(device) for name in ("index", "target"))
        self.batch_size, self.steps = cfg.data.batch_size, cfg.trainer.limit_train_batches
        self.optimizer = build.part(cfg.optimizer, "optimizer", params=self.model.parameters())
        total = cfg.trainer.max_epochs * self.steps
        self.schedule = build.part(
            cfg.scheduler, "scheduler", optimizer=self.optimizer, total_steps=total, T_max=total, total_iters=total
        )
        self.autocast: Callable[[], Any] = contextlib.nullcontext
        if cfg.trainer.precision == "bf16-mixed":
            self.autocast = lambda: torch.autocast(device.type, torch.bfloat16)

    def epoch(self) -> float:
        """Train; images a second."""
        order = torch.randperm(len(self.index), device=self.index.device)
        begin, count = time.perf_counter(), 0
        for start in range(0, self.steps * self.batch_size, self.batch_size):
            places = order[start : start + self.batch_size]
            images = self.data.normalize(self.data.augmentation(self.images[self.index[places]]))
            loss = self.step(images, self.target[places])
            count += len(images)
        loss.item()  # waits for the device
        return count / (time.perf_counter() - begin)

    def step(self, images: Tensor, target: Tensor) -> Tensor:
        with self.autocast():
            loss: Tensor = self.model.loss(self.model(images), target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()


@dataclass
class Beside(pl.Callback):
    """Before every epoch of the trainer an epoch of ``rival``; the speeds of both, images a second."""

    rival: Callable[[], float]
    ours: list[float] = field(default_factory=list)
    against: list[float] = field(default_factory=list)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.against.append(self.rival())
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
    """The trainer of ``camri_exp.training.run``, with its callbacks and a folder of its own."""
    quieten()
    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder)
        tellers = [build.part(cfg.logger.csv, "logger", run_dir=folder)]
        own = [ReseedEachEpoch(cfg.seed), Predictions(), EpochBar(), *build.callbacks(cfg, run_dir)]
        yield build.trainer(cfg, run_dir, [*more, *own], tellers)


def speeds(cfg: DictConfig) -> tuple[list[float], list[float]]:
    """Images a second of the trainer and of the bare loop beside it, an epoch each; the first, a warm-up, left out."""
    beside = Beside(BareLoop(cfg, device(cfg)).epoch)
    data, model = parts(cfg)
    with trainer(cfg, beside) as one:
        one.fit(model, datamodule=data)
    return beside.ours[1:], beside.against[1:]


def device(cfg: DictConfig) -> torch.device:
    return torch.device("cuda" if cfg.trainer.accelerator in ("gpu", "cuda") else "cpu")


def first_step_seconds(cfg: DictConfig) -> float:
    """Seconds of the first training step, compiling included where the config asks for it."""
    loop = BareLoop(cfg, device(cfg))
    loop.steps = 1
    begin = time.perf_counter()
    with nothing_compiled_yet():
        loop.epoch()
    return time.perf_counter() - begin


def beside_bare_loop(what: str, target: str, epochs: int, steps: int, overrides: tuple[str, ...], quick: bool) -> Row:
    """The trainer's images a second and the bare loop's; the bare loop's milliseconds a step stand in the note."""
    ours, against = speeds(
        cfg := config(
            *overrides,
            f"trainer.limit_train_batches={2 if quick else steps}",
            f"trainer.max_epochs={1 + (2 if quick else epochs)}",
            "trainer.limit_val_batches=1",
        )
    )
    step = 1e3 * cfg.data.batch_size / statistics.median(against)
    return Row.of(what, ours, "images/s", "bare loop", against, target, f"{number(step)} ms a step")
