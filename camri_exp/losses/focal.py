"""Focal loss: samples that are classified well have less weight."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes, finite, number, numbers


class FocalLoss(Loss):
    """``-a_t (1 - p_t)^gamma log p_t``, mean over the batch; p = softmax(z) (Lin et al. 2017, arXiv:1708.02002).

    Args:
        gamma: at least 0; 0 is cross-entropy, the paper uses 2.
        alpha: K weights, one per class; without it all classes have weight 1.
        num_classes: K; with it, an ``alpha`` of another length is an error at construction, not at the first batch.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_classes"})
    alpha: Tensor | None

    def __init__(self, gamma: float, alpha: Sequence[float] | None = None, num_classes: int | None = None) -> None:
        super().__init__()
        self.gamma = number("gamma", gamma)
        weights = None
        if alpha is not None:
            weights = numbers("alpha", alpha)
            if weights.shape != (num_classes or weights.numel(),):
                expected = f"a list of {num_classes or 'K'}, one per class"
                raise ValueError(f"alpha has {weights.numel()} values; expected {expected}")
            weights = finite("alpha", weights, least=0)
        self.register_constant("alpha", weights)

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        scores = at_least_float32(scores)
        log_p = -F.cross_entropy(scores, target, reduction="none")
        # 1 - p without cancellation. At 0 the power has an infinite gradient for gamma < 1.
        miss = (-torch.expm1(log_p)).clamp_min(torch.finfo(scores.dtype).tiny)
        loss = -(miss**self.gamma) * log_p
        if self.alpha is not None:
            check_classes(scores, len(self.alpha))
            loss = self.alpha[target].to(scores.dtype) * loss
        return loss.mean()

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}"
