"""Features to scores, without margins: ``scores.argmax(1)`` is the prediction in training, evaluation and export.

Both heads compute in float32 or better, also under autocast. The largest number below 1 in bf16 is 0.9961, the cosine
of 5 degrees, which is half of a typical margin. Logits in half precision have ties, which make the argmax arbitrary.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camri_exp.losses.base import at_least_float32


class LinearHead(nn.Linear):
    """Logits ``W z + b``: features (N, D) to scores (N, K).

    Args:
        in_features: D.
        num_classes: K.
        bias: whether there is a b.
    """

    score_type: ClassVar[str] = "logits"

    def __init__(self, in_features: int, num_classes: int, bias: bool = True) -> None:
        super().__init__(in_features, num_classes, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            bias = None if self.bias is None else at_least_float32(self.bias)
            return F.linear(at_least_float32(features), at_least_float32(self.weight), bias)

    @staticmethod
    def of_stack(features: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Scores (S, N, K) of S heads with ``parameters`` (S, …) for the same features (N, D), as one product."""
        return linear_stack(features, parameters["weight"], parameters.get("bias"))


class CosineHead(nn.Module):
    """Cosines of the angles between features and class weights: (N, D) to (N, K), in [-1, 1] up to rounding.

    A feature that is zero, as the output of a dead ReLU layer, has cosine 0 with every class and no gradient.

    Args:
        in_features: D.
        num_classes: K.
    """

    score_type: ClassVar[str] = "cosine"

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, in_features))
        nn.init.xavier_normal_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return F.linear(unit(at_least_float32(features)), unit(at_least_float32(self.weight)))

    @staticmethod
    def of_stack(features: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Cosines (S, N, K) of S heads with ``parameters`` (S, …) for the same features (N, D), as one product."""
        weight = parameters["weight"]
        return linear_stack(unit(features), unit(weight.flatten(0, 1)).view_as(weight))

    def extra_repr(self) -> str:
        return f"in_features={self.weight.shape[1]}, num_classes={self.weight.shape[0]}"


def linear_stack(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``W_s z + b_s`` of S layers, weights (S, K, D) and biases (S, K), for the same features (N, D): (S, N, K)."""
    product = F.linear(features, weight.flatten(0, 1), None if bias is None else bias.flatten())
    return product.unflatten(1, weight.shape[:2]).transpose(0, 1)


def unit(vectors: Tensor, eps: float = 1e-12) -> Tensor:
    """``v / |v|`` for each row v of (N, D), and zero where ``|v| <= eps``.

    ``F.normalize`` divides such rows by eps, so that the gradient of a zero row is 1e12 times too large, which ends a
    training; in half precision it is infinite.
    """
    length = vectors.norm(dim=1, keepdim=True)
    return vectors * ((length > eps) / length.clamp_min(eps))
