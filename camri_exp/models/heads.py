"""Features to scores, free of margins: ``scores.argmax(1)`` is the prediction in training, evaluation and export.

Both heads compute in float32 or better, whatever autocast says around them: bf16's largest value below 1 is .9961, a
cosine of 5 degrees, half of a typical margin; and logits in half precision tie, where an argmax must not.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camri_exp.losses.base import at_least_float32


class LinearHead(nn.Linear):
    """Logits ``W z + b``: features (N, D) to scores (N, K)."""

    score_type: ClassVar[str] = "logits"

    def __init__(self, in_features: int, num_classes: int, bias: bool = True) -> None:
        super().__init__(in_features, num_classes, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            bias = None if self.bias is None else at_least_float32(self.bias)
            return F.linear(at_least_float32(features), at_least_float32(self.weight), bias)


class CosineHead(nn.Module):
    """Cosines of the angles between features and class weights: (N, D) to (N, K), in [-1, 1] up to rounding.

    A feature of zero, as a dead ReLU layer gives, has cosine 0 to every class and no gradient.
    """

    score_type: ClassVar[str] = "cosine"

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, in_features))
        nn.init.xavier_normal_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return F.linear(unit(at_least_float32(features)), unit(at_least_float32(self.weight)))

    def extra_repr(self) -> str:
        return f"in_features={self.weight.shape[1]}, num_classes={self.weight.shape[0]}"


def unit(vectors: Tensor, eps: float = 1e-12) -> Tensor:
    """``v / |v|`` for each row of (N, D), and zero where ``|v| <= eps``.

    ``F.normalize`` divides such rows by eps, so that a zero row gets a gradient 1e12 times too large: infinite in half
    precision, and the end of a training in any.
    """
    length = vectors.norm(dim=1, keepdim=True)
    return vectors * ((length > eps) / length.clamp_min(eps))
