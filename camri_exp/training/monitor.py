"""The metric ``val/recall_at_accuracy``, by which the best epoch can be chosen."""

from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from camri_exp.instantiate import explained
from camri_exp.metrics.threshold import recall_at_accuracy
from camri_exp.models.classifier import EvaluationBatch
from camri_exp.training.callbacks import gathered

NAME = "val/recall_at_accuracy"


class RecallAtAccuracy(Callback):
    """Logs ``val/recall_at_accuracy`` in every epoch of a run in which a callback monitors it.

    It is the rule by which a report chooses: the recall of the important class at the best bias that keeps
    ``accuracy``. See ``camri_exp.metrics.threshold.recall_at_accuracy``.

    Args:
        accuracy: the validation accuracy to keep, from 0 to 1, such as that of the baseline; without it epochs are
            ranked by accuracy, and those of equal accuracy by recall.

    Raises:
        ValueError: an accuracy that is not from 0 to 1.
    """

    def __init__(self, accuracy: float | None = None) -> None:
        if accuracy is not None and not 0 <= accuracy <= 1:
            raise ValueError(f"accuracy={accuracy}; expected a number from 0 to 1, or null")
        self.accuracy = accuracy
        self._batches: list[tuple[Tensor, Tensor]] | None = None  # None: nothing monitors the metric

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        monitors = {getattr(callback, "monitor", None) for callback in cast(Any, trainer).callbacks}
        self._batches = [] if NAME in monitors and stage == TrainerFn.FITTING else None

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: EvaluationBatch, *_: object
    ) -> None:
        if self._batches is not None:
            self._batches.append((outputs, batch[1]))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._batches is None:
            return
        scores, target = (tensor.float().numpy() for tensor in gathered(self._batches, trainer.world_size))
        self._batches = []
        with explained(f"monitor={NAME}"):
            important: Any = pl_module.important_class
            value = recall_at_accuracy(scores, target.astype(int), important, self.accuracy)
        pl_module.log(NAME, value)
