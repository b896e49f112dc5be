"""Logit adjustment: the training loss includes the class frequencies, the prediction assumes equal ones."""

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes
from camri_exp.losses.settings import counts, number


class LogitAdjustedLoss(Loss):
    """``-log softmax(z + tau log pi)_t`` with pi the class frequencies (Menon et al. 2021, arXiv:2007.07314).

    For tau = 1 it is the balanced softmax (Ren et al. 2020, arXiv:2007.10740), for equal counts cross-entropy.

    Args:
        class_counts: training images per class.
        tau: at least 0; 0 is cross-entropy, larger values favour rare classes.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"class_counts"})
    soft_targets: ClassVar[bool] = True
    adjustment: Tensor

    def __init__(self, class_counts: Sequence[int], tau: float = 1.0) -> None:
        super().__init__()
        seen = counts(class_counts)
        self.tau = number("tau", tau)
        self.register_constant("adjustment", self.tau * (seen / seen.sum()).log())

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        check_classes(scores, len(self.adjustment))
        scores = at_least_float32(scores)
        return F.cross_entropy(scores + self.adjustment.to(scores.dtype), target)

    def before_start(self) -> dict[str, float]:
        return {"adjustment": 0.0}

    def probabilities(self, scores: Tensor) -> Tensor:
        """``softmax(z + tau log pi)``."""
        scores = at_least_float32(scores)
        return (scores + self.adjustment.to(scores.dtype)).softmax(dim=1)

    def extra_repr(self) -> str:
        return f"tau={self.tau}"
