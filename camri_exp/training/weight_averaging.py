"""The exponential moving average of the weights, by Lightning's callback and torch's ``AveragedModel``."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class EMA(WeightAveraging):
    """Averages weights and batch-norm statistics; validation, test and the checkpoints have the average.

    After step n, ``average = d average + (1 - d) weights`` with ``d = min(decay, (1 + n) / (10 + n))``, so that the
    random weights of a new head do not stay in the average of a short run. ``state_dict`` of a checkpoint is the
    average, and ``current_model_state`` the weights that are trained, with which a run resumes.

    Args:
        decay: the largest d, in (0, 1). About 1 / (1 - decay) steps are averaged.

    Raises:
        ValueError: a decay that is not in (0, 1).
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 < decay < 1:
            raise ValueError(f"decay={decay}; expected a number above 0 and below 1")
        self.decay = decay
        super().__init__(multi_avg_fn=self._average)

    @torch.no_grad()
    def _average(self, averaged: list[Tensor], current: list[Tensor], steps: Tensor) -> None:
        n = int(steps)
        get_ema_multi_avg_fn(min(self.decay, (1 + n) / (10 + n)))(averaged, current, steps)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # Lightning would load the weights that are trained, not the average, to test a checkpoint after the training.
        self._average_model = None

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
