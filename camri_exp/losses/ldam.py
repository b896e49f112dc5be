"""LDAM: CosFace with larger margins for rarer classes."""

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import at_least_float32, normalized
from camri_exp.losses.class_balanced import effective_weights
from camri_exp.losses.cosface import CosFaceLoss
from camri_exp.losses.settings import counts, positive


class LDAMLoss(CosFaceLoss):
    """CosFace with ``m_k = max_margin (min n / n_k)^(1/4)`` (label-distribution-aware margin, Cao et al. 2019,
    arXiv:1906.07413). With equal class counts it is CosFace.

    With ``beta`` samples have class-balanced weights too. The paper's schedule (DRW) trains with the margins from the
    beginning and with the weights in the last fifth of the epochs: ``beta=0.9999``, ``loss.start=0.8``.

    Args:
        class_counts: training images per class, n.
        max_margin: margin of the rarest class, in (0, 2], a difference of cosines.
        scale: s > 0, or ``auto``; see ``scale_of``.
        beta: in [0, 1), as in ``ClassBalancedLoss``; 0: no weights.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"class_counts"})
    weight: Tensor | None  # (K,)

    def __init__(
        self, class_counts: Sequence[int], max_margin: float = 0.5, scale: float | str = 30.0, beta: float = 0.0
    ) -> None:
        seen = counts(class_counts)
        margins = positive("max_margin", max_margin) * (seen.min() / seen) ** 0.25
        super().__init__(len(seen), margins.tolist(), scale)
        self.register_constant("weight", effective_weights(seen, beta) if beta else None)

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        if self.weight is None:
            return super().forward(scores, target)
        weight = self.weight.to(at_least_float32(scores).dtype)
        total = F.cross_entropy(self.with_margins(scores, target), target, weight=weight, reduction="sum")
        return total / len(target)

    def before_start(self) -> dict[str, float]:
        """The margins apply from the first epoch on."""
        return {} if self.weight is None else {"weight": 1.0}

    def probabilities(self, scores: Tensor) -> Tensor:
        """Those of CosFace, divided by the weights and normalised."""
        probabilities = super().probabilities(scores)
        return probabilities if self.weight is None else normalized(probabilities / self.weight.to(probabilities.dtype))
