"""Weighted cross-entropy: one weight per class."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes
from camri_exp.losses.settings import counts, per_class, per_class_or_important

NORMALIZE = ("batch", "weights")


class WeightedCrossEntropyLoss(Loss):
    """``-w_t log softmax(z)_t``, summed over the batch and divided by N or by the sum of the weights w_t.

    Args:
        num_classes: K.
        weight: one number: the weight of the important classes, 1 for the others. K numbers: one per class.
            ``balanced``: ``N / (K n_k)`` from the class counts n, as in scikit-learn.
        important_class: one id or several; used if ``weight`` is one number.
        class_counts: training images per class; used if ``weight`` is ``balanced``.
        normalize: ``batch`` divides by N, so that a larger weight means a larger gradient. ``weights`` divides by the
            sum of the weights in the batch, as torch's ``weight=`` does: weights then have no effect in a batch of one
            class.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_classes", "important_class", "class_counts"})
    soft_targets: ClassVar[bool] = True
    weight: Tensor

    def __init__(
        self,
        num_classes: int,
        weight: float | Sequence[float] | str,
        important_class: int | Sequence[int] | None = None,
        class_counts: Sequence[int] | None = None,
        normalize: str = "batch",
    ) -> None:
        super().__init__()
        if normalize not in NORMALIZE:
            raise ValueError(f"normalize={normalize!r}; expected one of {', '.join(NORMALIZE)}")
        self.normalize = normalize
        self.register_constant("weight", _weights(num_classes, weight, important_class, class_counts))

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        check_classes(scores, len(self.weight))
        scores = at_least_float32(scores)
        weight = self.weight.to(scores.dtype)
        total = F.cross_entropy(scores, target, weight=weight, reduction="sum")
        if self.normalize == "batch":
            return total / len(target)
        weights = target.to(weight.dtype) @ weight if target.is_floating_point() else weight[target]
        return total / weights.sum().clamp_min(torch.finfo(scores.dtype).tiny)

    def before_start(self) -> dict[str, float]:
        return {"weight": 1.0}

    def probabilities(self, scores: Tensor) -> Tensor:
        """``softmax(z - log w)``. A class of weight 0 has probability 0: the loss does not depend on its images."""
        scores = at_least_float32(scores)
        log_weight = self.weight.log().to(scores.dtype)
        return (scores - torch.where(self.weight > 0, log_weight, torch.inf)).softmax(dim=1)

    def extra_repr(self) -> str:
        return f"normalize={self.normalize}"


def _weights(
    num_classes: int,
    weight: float | Sequence[float] | str,
    important_class: int | Sequence[int] | None,
    class_counts: Sequence[int] | None,
) -> Tensor:
    if isinstance(weight, str):
        if weight != "balanced":
            raise ValueError(f"weight={weight!r}; expected a number, {num_classes} numbers, or balanced")
        seen = counts(class_counts)
        return per_class("weight", seen.sum() / (num_classes * seen), num_classes)
    return per_class_or_important("weight", weight, num_classes, important_class, least=0)
