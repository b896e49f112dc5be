"""Cross-entropy, the baseline of every comparison."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, normalized
from camri_exp.losses.settings import number


class CrossEntropyLoss(Loss):
    """``-log softmax(z)_t``, mean over the batch.

    Args:
        label_smoothing: in [0, 1), the share of the target distribution that is uniform over all classes.
    """

    soft_targets: ClassVar[bool] = True

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = number("label_smoothing", label_smoothing, below=1)

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(at_least_float32(scores), target, label_smoothing=self.label_smoothing)

    def probabilities(self, scores: Tensor) -> Tensor:
        """``(softmax(z) - e / K) / (1 - e)`` with label smoothing e, clipped at 0 and normalised."""
        smoothed = super().probabilities(scores)
        return normalized(smoothed - self.label_smoothing / scores.shape[1]) if self.label_smoothing else smoothed
