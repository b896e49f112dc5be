"""Config to the parts of a training run: optimizer, schedule, callbacks, loggers and trainer."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from camri_exp.errors import UserError, first_line
from camri_exp.instantiate import instantiate, partial_of
from camri_exp.models import lightning_speedups
from camri_exp.schema.check import TOTAL_STEPS
from camri_exp.training.callbacks import EpochProgressBar
from camri_exp.training.checkpoint_io import AtomicCheckpointIO

log = logging.getLogger(__name__)
PACKAGES_OF_CALLBACKS = ("camri_exp", "pytorch_lightning")  # whose empty hooks are known to stay empty


def build_optimizer(cfg: DictConfig) -> Callable[[Any], torch.optim.Optimizer]:
    """A function that makes the optimizer of given parameters."""
    return partial_of(cfg.optimizer, "optimizer")


def build_scheduler(cfg: DictConfig) -> Callable[[torch.optim.Optimizer, int], Any]:
    """A function that makes the learning-rate schedule of (optimizer, total steps).

    torch's schedules call their length by different names. In a config, the value ``total_steps`` stands for it.
    """
    length = [key for key, value in cfg.scheduler.items() if value == TOTAL_STEPS]
    make = partial_of(cfg.scheduler, "scheduler", drop=length)
    return lambda optimizer, total_steps: make(optimizer, **dict.fromkeys(map(str, length), total_steps))


def build_callbacks(cfg: DictConfig) -> list[Callback]:
    """The callbacks of the ``callbacks`` group, after the progress bar (``trainer.enable_progress_bar``)."""
    progress: list[Callback] = [EpochProgressBar()] if cfg.trainer.enable_progress_bar else []
    return progress + [instantiate(node, f"callbacks.{name}") for name, node in cfg.callbacks.items() if node]


def build_loggers(cfg: DictConfig) -> list[Logger]:
    """The loggers of the ``logger`` group.

    Raises:
        UserError: a logger needs a package that is not installed.
    """
    loggers = []
    for name, node in (cfg.get("logger") or {}).items():
        try:
            loggers += [instantiate(node, f"logger.{name}")] if node else []
        except ModuleNotFoundError as error:
            needed = f"logger={name} needs a package that is not installed ({first_line(error)})"
            raise UserError(f"{needed}. Run: pip install 'camri_exp[{name}]'") from error
    return loggers


def build_trainer(
    cfg: DictConfig, run_dir: Path, callbacks: Sequence[Callback], loggers: Sequence[Logger]
) -> pl.Trainer:
    """The Lightning trainer of ``cfg.trainer`` with these callbacks and loggers."""
    lightning_speedups.look_for_gpus_once()
    trainer = instantiate(
        cfg.trainer,
        "trainer",
        drop=("keep_freed_memory",),
        callbacks=list(callbacks),
        logger=list(loggers),
        default_root_dir=str(run_dir),
        profiler=lightning_speedups.NoProfiler(),
        plugins=[AtomicCheckpointIO()],
    )
    lightning_speedups.drop_empty_hooks(
        callback
        for callback in trainer.callbacks
        if type(callback).__module__.partition(".")[0] in PACKAGES_OF_CALLBACKS
    )
    on_cpu = trainer.strategy.root_device.type == "cpu"
    if cfg.trainer.get("keep_freed_memory") and on_cpu and lightning_speedups.keep_freed_memory():
        log.info("freed memory is kept by this process (trainer.keep_freed_memory=true)")
    return trainer
