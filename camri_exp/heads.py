"""Features to scores, free of margins: ``scores.argmax(1)`` is the prediction in training, evaluation and export."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from camri_exp.losses.base import at_least_float32


class LinearHead(nn.Linear):
    """Logits ``W z + b``: (N, D) -> (N, K)."""

    scores: ClassVar[str] = "logits"

    def __init__(self, in_features: int, num_classes: int, bias: bool = True) -> None:
        super().__init__(in_features, num_classes, bias=bias)


class CosineHead(nn.Module):
    """Cosines of the angles between features and class weights: (N, D) -> (N, K), in [-1, 1].

    Always in float32 or better, whatever autocast says around it: bf16's largest value below 1 is .9961, an angle of
    5 degrees, half of a typical margin. A feature of zero has cosine 0 to every class.
    """

    scores: ClassVar[str] = "cosine"

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_classes, in_features))
        nn.init.xavier_normal_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            features, weight = at_least_float32(features), at_least_float32(self.weight)
            return F.linear(F.normalize(features), F.normalize(weight))
