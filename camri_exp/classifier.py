"""The LightningModule: backbone -> head -> loss. Nothing here knows a loss by name."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from camri_exp.errors import UserError
from camri_exp.lean import inspected_once
from camri_exp.losses.base import Loss
from camri_exp.metrics.confusion import summarize
from camri_exp.metrics.online import OwnClassAngle, angle_summary

Batch = tuple[Tensor, Tensor]


class Classifier(pl.LightningModule):
    """A classifier of images with one or a few important classes.

    ``forward(images (N, C, H, W)) -> scores (N, K)`` is free of margins; ``scores.argmax(1)`` is the prediction.

    Args:
        backbone: images to features (N, D).
        head: features to scores (N, K).
        loss: scores and targets to a scalar.
        class_names: K names.
        important_class: ids of the classes that matter more.
        optimizer: makes the optimizer of the parameters.
        scheduler: makes the learning-rate schedule of (optimizer, total steps); stepped every step.
        freeze_epochs: the first epochs train the head alone.
        channels_last: memory format of images and weights.
        report_every: steps between two looks at the training loss.
        about: plain values stored in every checkpoint: what prediction needs to know of the data.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        loss: Loss,
        *,
        class_names: list[str],
        important_class: list[int],
        optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
        scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None,
        freeze_epochs: int = 0,
        channels_last: bool = False,
        report_every: int = 50,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.head, self.loss = backbone, head, loss
        self.class_names, self.important_class = class_names, important_class
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.freeze_epochs, self.report_every = freeze_epochs, report_every
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.about = dict(about or {})
        self.confusion = MulticlassConfusionMatrix(len(class_names), validate_args=False)
        self.angles = OwnClassAngle(len(class_names)) if getattr(head, "scores", "") == "cosine" else None
        self.meter = TrainingMeter()
        self.to(memory_format=self.memory_format)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":  # set fifty times a step by Lightning; torch would look each time what it is
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images.contiguous(memory_format=self.memory_format)))

    def on_train_epoch_start(self) -> None:
        frozen = self.current_epoch < self.freeze_epochs
        self.backbone.requires_grad_(not frozen)
        if frozen:
            self.backbone.eval()  # its batch norms keep their statistics too
        self.meter.start_epoch()

    @inspected_once
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, target = batch
        loss = self.loss(self(images), target)
        self.meter.add(loss.detach(), len(target))
        if len(self.meter.pending) >= self.report_every or self.trainer.is_last_batch:
            self._report_training(batch_idx)
        return loss

    def _report_training(self, batch_idx: int) -> None:
        """Look at the losses since the last report: one wait for the device instead of one a step."""
        losses, speed = self.meter.take()
        for step, loss in enumerate(losses, start=batch_idx + 1 - len(losses)):
            if not math.isfinite(loss):
                raise UserError(
                    f"epoch {self.current_epoch}, step {step}: the loss is {loss}. Usual causes: too high a learning "
                    "rate (optimizer.lr), fp16 precision (take bf16-mixed), NaN in loaded weights.\n"
                    "checkpoints/last.ckpt, if written, is the state after the epoch before; resume=DIR starts there."
                )
        values = {
            "train/loss": math.fsum(losses) / len(losses),
            "train/lr": self.trainer.optimizers[0].param_groups[0]["lr"],
            "train/images_per_second": speed * self.trainer.world_size,
        }
        for logger in self.loggers:
            logger.log_metrics(values, step=self.global_step)
        if self.trainer.is_last_batch:
            self.log("train/loss", self.meter.end_epoch(), on_step=True, on_epoch=False, logger=False, sync_dist=True)

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._evaluate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._evaluate(batch)

    def _evaluate(self, batch: Batch) -> Tensor:
        images, target = batch
        if not len(target):  # a process whose share is one batch shorter than the others'
            return images.new_empty(0, len(self.class_names))
        scores = self(images)
        self.confusion.update(scores.argmax(1), target)
        if self.angles is not None:
            self.angles.update(scores, target)
        return scores

    def on_validation_epoch_end(self) -> None:
        self._report_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self._report_evaluation("test")

    def _report_evaluation(self, split: str) -> None:
        # The validation of the chosen checkpoint after training is no further point on the curves.
        curve = bool(self.loggers) and self.trainer.state.fn in (TrainerFn.FITTING, TrainerFn.TESTING)
        summary = summarize(self.confusion.compute().cpu().numpy(), self.important_class, self.class_names)
        self.confusion.reset()
        if self.angles is not None:
            summary |= angle_summary(self.angles.compute(), self.important_class)
            self.angles.reset()
        for name, value in summary.pop("recall").items():
            summary[f"recall/{name}"] = value
        self.log_dict({f"{split}/{name}": value for name, value in summary.items()}, logger=curve)

    def configure_optimizers(self) -> Any:
        assert self.make_optimizer is not None, "a classifier without an optimizer predicts but does not train"
        optimizer = self.make_optimizer(self.parameters())
        if self.make_scheduler is None:
            return optimizer
        schedule = self.make_scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        # A finished run that is resumed for more epochs has used up a schedule of fixed length: the rate stays. A step
        # more is an error in OneCycleLR, and the way up again in CosineAnnealingLR.
        if scheduler.last_epoch < getattr(scheduler, "total_steps", getattr(scheduler, "T_max", math.inf)):
            scheduler.step()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["camri_exp"] = self.about


class TrainingMeter:
    """Loss and speed of the training steps. Losses stay on the device until somebody looks."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, float]] = []  # images and seconds of each
        self.start_epoch()

    def start_epoch(self) -> None:
        self.pending: list[Tensor] = []
        self.losses: list[float] = []
        self.images = self._reported_images = 0
        self.begin = self._reported = time.perf_counter()

    def add(self, loss: Tensor, images: int) -> None:
        self.pending.append(loss)
        self.images += images

    def take(self) -> tuple[list[float], float]:
        """Losses and images a second since the last call."""
        new = torch.stack(self.pending).tolist()
        self.pending = []
        self.losses += new
        now = time.perf_counter()
        speed = (self.images - self._reported_images) / (now - self._reported)
        self._reported, self._reported_images = now, self.images
        return new, speed

    def end_epoch(self) -> float:
        """Close the epoch as of the last ``take``, and return its mean loss."""
        self.epochs.append((self.images, self._reported - self.begin))
        return math.fsum(self.losses) / len(self.losses)

    @property
    def images_per_second(self) -> float:
        """Over all epochs but the first, which warms up, unless it is the only one."""
        counted = self.epochs[1:] or self.epochs
        return sum(images for images, _ in counted) / sum(seconds for _, seconds in counted) if counted else math.nan
