"""CosFace: the margin is subtracted from the cosine, not added to the angle."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.angular import margin_probabilities
from camri_exp.losses.base import Loss, at_least_float32, check_classes
from camri_exp.losses.settings import per_class, scale_of


class CosFaceLoss(Loss):
    """``-log softmax(s (cos theta_k - [k = t] m_k))_t``, mean over the batch (Wang et al. 2018, arXiv:1801.09414).

    Args:
        num_classes: K.
        margin: in [0, 2], the range of a difference of cosines; one number, or one per class. The paper uses 0.35.
        scale: s > 0, or ``auto``; see ``scale_of``. The paper uses 64 for thousands of faces.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_classes"})
    score_type: ClassVar[str] = "cosine"
    margins: Tensor

    def __init__(self, num_classes: int, margin: float | Sequence[float], scale: float | str) -> None:
        super().__init__()
        margins = per_class("margin", margin, num_classes, least=0)
        if (margins > 2).any():
            raise ValueError(f"margin={margins.max():g}; expected at most 2, the largest difference of two cosines")
        self.scale = scale_of(scale, num_classes)
        self.register_constant("margins", margins)

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(self.with_margins(scores, target), target)

    def with_margins(self, scores: Tensor, target: Tensor) -> Tensor:
        """``s (cos theta_k - [k = t] m_k)``, (N, K)."""
        check_classes(scores, len(self.margins))
        with torch.autocast(scores.device.type, enabled=False):
            scores = at_least_float32(scores)
            margin = self.margins[target].to(scores.dtype)
            return self.scale * scores.scatter_add(1, target[:, None], -margin[:, None])

    def before_start(self) -> dict[str, float]:
        return {"margins": 0.0}

    def probabilities(self, scores: Tensor) -> Tensor:
        """``P_k ∝ u_k (1 - u_k + u_k e^{-s m_k})``, u = softmax(s cos theta); see ``margin_probabilities``."""
        scores = at_least_float32(scores)
        return margin_probabilities(scores, -self.margins.to(scores.dtype), 1.0, self.scale)

    def extra_repr(self) -> str:
        return f"scale={self.scale}"
