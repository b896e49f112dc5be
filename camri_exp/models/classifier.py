"""The LightningModule: normalisation, backbone, head and loss. It is independent of the concrete loss."""

import math
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics.classification import MulticlassConfusionMatrix

from camri_exp.errors import UserError
from camri_exp.instantiate import explained
from camri_exp.losses.base import Loss
from camri_exp.losses.partial_auc import PartialAUC
from camri_exp.metrics.angle_metric import OwnClassAngle, angle_summary
from camri_exp.metrics.confusion import summarize
from camri_exp.models.fine_tuning import FineTuning, freeze, warmed_up
from camri_exp.models.lightning_speedups import PlainHookName
from camri_exp.models.metadata import ModelMetadata
from camri_exp.models.meter import TrainingMeter

TrainingBatch = tuple[Tensor, Tensor]  # images, targets
EvaluationBatch = tuple[Tensor, Tensor, Tensor]  # images, targets, positions in the split


class Classifier(PlainHookName, pl.LightningModule):
    """An image classifier with one or a few important classes.

    ``forward(images (N, C, H, W)) -> scores (N, K)`` takes pixels in 0..255 and is free of margins;
    ``scores.argmax(1)`` is the prediction. Training, evaluation, ``predict`` and the exported file all use it.

    Args:
        backbone: normalised images to features (N, D).
        head: features to scores (N, K).
        loss: scores and targets to a scalar.
        metadata: the task and the preprocessing; stored in every checkpoint.
        optimizer: makes the optimizer of the parameters; without one the model predicts but does not train.
        scheduler: makes the learning-rate schedule of (optimizer, total steps); it is stepped after every step.
        freeze_epochs: number of first epochs that train the head alone.
        fine_tuning: how the backbone is trained.
        channels_last: memory format of images and weights.
        partial_auc: a term that is added to the loss.
        log_every_n_steps: steps between two reads of the training losses, each of which waits for the device.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        loss: Loss,
        metadata: ModelMetadata,
        *,
        optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
        scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None,
        freeze_epochs: int = 0,
        fine_tuning: FineTuning | None = None,
        channels_last: bool = False,
        partial_auc: PartialAUC | None = None,
        log_every_n_steps: int = 50,
    ) -> None:
        super().__init__()
        self.backbone, self.head, self.loss, self.metadata = backbone, head, loss, metadata
        self.partial_auc = partial_auc
        self.class_names, self.important_class = metadata.class_names, metadata.important_class
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.freeze_epochs, self.log_every_n_steps = freeze_epochs, log_every_n_steps
        self.fine_tuning = fine_tuning or FineTuning()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        # Not persistent: the metadata of the checkpoint holds them, and older checkpoints have no such tensors.
        for name, values in (("mean", metadata.mean), ("std", metadata.std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None] * 255, persistent=False)
        self.confusion = MulticlassConfusionMatrix(len(self.class_names), validate_args=False)
        self.angles = OwnClassAngle(len(self.class_names)) if getattr(head, "score_type", "") == "cosine" else None
        self.meter = TrainingMeter()
        self.to(memory_format=self.memory_format)

    @property
    def has_cosine_scores(self) -> bool:
        return self.angles is not None

    @property
    def size(self) -> int:
        """The number of parameters of the whole model."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def needs(self) -> frozenset[str]:
        """The facts of the task that training depends on; see ``Loss.needs``."""
        return self.loss.needs | (frozenset() if self.partial_auc is None else {"important_class"})

    def forward(self, images: Tensor) -> Tensor:
        return self.loss.decoded(self.head_scores(images))

    def head_scores(self, images: Tensor) -> Tensor:
        """The scores (N, K) of the head, which the loss works on."""
        pixels = (images - self.mean) / self.std
        return self.head(self.backbone(pixels.contiguous(memory_format=self.memory_format)))

    def on_train_epoch_start(self) -> None:
        frozen = self.current_epoch < self.freeze_epochs
        self.backbone.requires_grad_(not frozen)
        # Frozen batch norms keep their statistics too. Lightning calls train() once, at the start of the training.
        self.backbone.train(not frozen)
        if self.fine_tuning.freeze_below:
            freeze(self.backbone, {id(p) for group in self.trainer.optimizers[0].param_groups for p in group["params"]})
        self.meter.start_epoch()

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        images, target = batch
        scores = self.head_scores(images)
        loss = self.loss(scores, target)
        if self.partial_auc is not None:
            loss = loss + self.partial_auc(scores, target)
        self.meter.add(loss.detach(), len(target))
        if len(self.meter.pending) >= self.log_every_n_steps or self.trainer.is_last_batch:
            self._log_training(batch_idx)
        return loss

    def _log_training(self, batch_idx: int) -> None:
        """Read the losses since the last call: one wait for the device instead of one per step."""
        losses, speed = self.meter.take()
        for step, loss in enumerate(losses, start=batch_idx + 1 - len(losses)):
            if not math.isfinite(loss):
                raise not_finite(self.current_epoch, step, loss)
        values = {
            "train/loss": math.fsum(losses) / len(losses),
            "train/lr": self.trainer.optimizers[0].param_groups[0]["lr"],
            "train/images_per_second": speed * self.trainer.world_size,
        }
        for logger in self.loggers:
            logger.log_metrics(values, step=self.global_step)
        if self.trainer.is_last_batch:
            self.log("train/loss", self.meter.end_epoch(), on_step=True, on_epoch=False, logger=False, sync_dist=True)

    def validation_step(self, batch: EvaluationBatch, batch_idx: int) -> Tensor:
        return self._evaluate(batch)

    def test_step(self, batch: EvaluationBatch, batch_idx: int) -> Tensor:
        return self._evaluate(batch)

    def predict_step(self, batch: EvaluationBatch, batch_idx: int) -> Tensor:
        return self(batch[0])

    def _evaluate(self, batch: EvaluationBatch) -> Tensor:
        images, target, _ = batch
        if not len(target):  # under DDP, a process may have one batch less than the others
            return self.mean.new_empty(0, len(self.class_names))
        scores = self(images)
        self.confusion.update(scores.argmax(1), target)
        if self.angles is not None:
            self.angles.update(scores, target)
        return scores

    def on_validation_epoch_end(self) -> None:
        self._log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self._log_evaluation("test")

    def _log_evaluation(self, split: str) -> None:
        # The validation of the chosen checkpoint after training is not a point of the curves.
        curve = bool(self.loggers) and self.trainer.state.fn in (TrainerFn.FITTING, TrainerFn.TESTING)
        metrics = summarize(self.confusion.compute().cpu().numpy(), self.important_class, self.class_names)
        self.confusion.reset()
        angles: dict[str, float] = {}
        if self.angles is not None:
            angles = angle_summary(self.angles.compute(), self.important_class)
            self.angles.reset()
        self.log_dict(metrics.logged(split, angles), logger=curve)

    def configure_optimizers(self) -> Any:
        assert self.make_optimizer is not None, "a classifier without an optimizer predicts but does not train"
        with explained("optimizer"):
            optimizer = self.fine_tuning.optimizer(self.make_optimizer, self, self.backbone)
        if self.make_scheduler is None:
            return optimizer
        with explained("scheduler"):
            schedule = self.make_scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable[[], Any] | None = None
    ) -> None:
        steps = self.trainer.num_training_batches / self.trainer.accumulate_grad_batches
        trained = (self.trainer.global_step + 1) / steps - self.freeze_epochs
        with warmed_up(optimizer, self.fine_tuning.warmup(trained)):
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    def lr_scheduler_step(self, scheduler: LRScheduler, metric: object) -> None:
        # In a finished run that is resumed for more epochs, a schedule of fixed length has ended: the rate is kept. One
        # more step would be an error in OneCycleLR, and would increase the rate again in CosineAnnealingLR.
        if scheduler.last_epoch < getattr(scheduler, "total_steps", getattr(scheduler, "T_max", math.inf)):
            scheduler.step()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["camri_exp"] = self.metadata.to_dict()


def not_finite(epoch: int, step: int, loss: float) -> UserError:
    """The error of a training whose loss is NaN or infinite."""
    return UserError(
        f"epoch {epoch}, step {step}: the loss is {loss}. Usual causes: too high a learning rate (optimizer.lr), fp16 "
        "precision (use bf16-mixed), NaN in loaded weights.\n"
        "checkpoints/last.ckpt, if it exists, holds the state after the previous epoch; resume=DIR starts there."
    )


class FeatureClassifier(Classifier):
    """The part of a classifier that is trained on the features of a frozen backbone.

    ``forward(features (N, D)) -> scores (N, K)``. The checkpoint of it and the file of the backbone, which its metadata
    name, are a whole ``Classifier``.
    """

    def head_scores(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))

    @property
    def size(self) -> int:
        assert self.metadata.frozen is not None
        return super().size + self.metadata.frozen.parameters
