"""Callbacks for losses that change during training: a later start, and a price that adapts to held-out images."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from torch import nn

from camri_exp.data.splits import HELD_OUT
from camri_exp.errors import UserError
from camri_exp.losses.base import Loss
from camri_exp.training.callbacks import gathered


def loss_callbacks(cfg: DictConfig, loss: Loss) -> list[Callback]:
    """The callbacks that ``loss`` needs with the settings of ``cfg``.

    Raises:
        UserError: ``loss.start`` for a loss that has nothing to start, or in a run without a number of epochs.
    """
    callbacks: list[Callback] = [AdaptLoss()] if loss.adapts else []
    start = cfg.loss.get("start") or 0
    return callbacks + ([DeferredStart(loss, cfg.loss.name, start, cfg.trainer.max_epochs)] if start else [])


class DeferredStart(Callback):
    """Margins and weights of a loss start to apply in epoch ``start * epochs`` (Cao et al. 2019, arXiv:1906.07413).

    Before, each of these constants has the value at which it has no effect; see ``Loss.before_start``. Checkpoints hold
    the values of their epoch.

    Args:
        loss: with its constants as configured.
        name: of the loss, for error messages.
        start: a share of the epochs.
        epochs: of the run.

    Raises:
        UserError: the loss has no such constants, or the number of epochs is not known.
    """

    def __init__(self, loss: Loss, name: str, start: float, epochs: int | None) -> None:
        self.before = loss.before_start()
        self.configured = {key: getattr(loss, key).clone() for key in self.before}
        if all(bool((value == self.before[key]).all()) for key, value in self.configured.items()):
            raise UserError(f"loss.start={start:g}: loss={name} has no margin or weight to start later. Omit it.")
        if epochs is None or epochs < 1:
            raise UserError(f"loss.start={start:g} is a share of the epochs. Give their number: trainer.max_epochs=20")
        self.first = round(start * epochs)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        started = trainer.current_epoch >= self.first
        for key, configured in self.configured.items():
            constant = getattr(pl_module.loss, key)
            constant.copy_(configured) if started else constant.fill_(self.before[key])


class AdaptLoss(Callback):
    """Lets a loss adapt to held-out training images between two epochs; see ``Loss.adapt``.

    It happens at the start of the next epoch, so that a checkpoint has the constants that trained it, and a resumed run
    computes what an undisturbed one does. What ``adapt`` returns is logged as ``train/NAME``.
    """

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.current_epoch:
            return
        loader = cast(Any, trainer).datamodule.evaluation_dataloader(HELD_OUT)
        batches = []
        with evaluating(pl_module), trainer.precision_plugin.forward_context():
            for images, target, _ in loader:
                if len(target):
                    batches.append((pl_module(images.to(pl_module.device)).float(), target))
        loss = cast(Any, pl_module).loss
        scores, target = (tensor.to(pl_module.device) for tensor in gathered(batches, trainer.world_size))
        for name, value in loss.adapt(scores, target).items():
            pl_module.log(f"train/{name}", value, on_step=False, on_epoch=True)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; then each module has its mode again, because parts may be frozen."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
