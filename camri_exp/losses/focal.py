"""Focal loss: samples that are classified well have less weight."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes, log_probabilities
from camri_exp.losses.settings import finite, number, numbers


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

    def probabilities(self, scores: Tensor) -> Tensor:
        """``h / sum_k h_k`` with ``h = v / (a (1-v)^g - a g (1-v)^(g-1) v log v)``, v = softmax(z).

        Charoenphakdee et al. 2021 (arXiv:2011.09172), with the weights a. It is computed as
        ``log h = log v - g log(1-v) - log(1 - g v log(v) / (1-v)) - log a``, because 1 - v is 0 for confident scores.
        """
        log_v, log_miss = log_probabilities(at_least_float32(scores))
        miss = log_miss.exp()
        # -log(v) / (1 - v), which is 1 in the limit v = 1.
        ratio = torch.where(miss < 1e-4, 1 + miss / 2, -log_v / miss.clamp_min(1e-4))
        log_h = log_v - self.gamma * log_miss - torch.log1p(self.gamma * log_v.exp() * ratio)
        if self.alpha is not None:
            log_h = log_h - torch.where(self.alpha > 0, self.alpha.log(), torch.inf).to(log_h.dtype)
        return log_h.softmax(dim=1)

    def extra_repr(self) -> str:
        return f"gamma={self.gamma}"
