"""Class-balanced loss: weights by the effective number of samples."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from camri_exp.losses.settings import counts, number
from camri_exp.losses.wce import WeightedCrossEntropyLoss


class ClassBalancedLoss(WeightedCrossEntropyLoss):
    """Weighted cross-entropy with ``w_k ∝ (1 - beta) / (1 - beta^{n_k})``, summing to K (Cui et al. 2019,
    arXiv:1901.05555). beta = 0 is cross-entropy; for beta towards 1 the weights approach inverse class frequencies.

    Args:
        class_counts: training images per class, n.
        beta: in [0, 1).
        normalize: ``batch`` or ``weights``; see ``WeightedCrossEntropyLoss``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"class_counts"})

    def __init__(self, class_counts: Sequence[int], beta: float = 0.9999, normalize: str = "batch") -> None:
        weight = effective_weights(counts(class_counts), beta)
        super().__init__(len(weight), weight.tolist(), normalize=normalize)


def effective_weights(class_counts: Tensor, beta: float) -> Tensor:
    """Weights (K,) ``∝ (1 - beta) / (1 - beta^{n_k})`` that sum to K, from the class counts n."""
    log_beta = torch.tensor(number("beta", beta, below=1), dtype=torch.float64).log()
    weight = -1 / torch.expm1(class_counts * log_beta)  # 1 - beta^n without cancellation
    return weight * len(weight) / weight.sum()
