"""Metrics that gather over the batches of an epoch and over processes, as torchmetrics wants them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class OwnClassAngle(Metric):
    """Count, sum and sum of squares, a class, of the angle between a feature and the weight of its own class.

    ``update(cosines (N, K), target (N,))``; ``compute() -> (3, K)``, radians. ``angle_summary`` makes means and
    variances of it; for exact figures take the angles in ``predictions.npz``.
    """

    full_state_update = False
    moments: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.add_state("moments", torch.zeros(3, num_classes), dist_reduce_fx="sum")

    def update(self, cosines: Tensor, target: Tensor) -> None:
        angle = own_angle(cosines, target)
        self.moments.index_add_(1, target, torch.stack([torch.ones_like(angle), angle, angle.square()]))

    def compute(self) -> Tensor:
        return self.moments


def own_angle(cosines: Tensor, target: Tensor) -> Tensor:
    """Angle to the weight of the own class, (N,) in radians, from cosines (N, K)."""
    return cosines.gather(1, target[:, None]).squeeze(1).float().clamp(-1, 1).acos()


def angle_summary(moments: Tensor, important: Sequence[int]) -> dict[str, float]:
    """Mean (radians) and variance (radians²) over the images of the important classes, and over the rest.

    The paper's claim is that CAMRI shrinks the variance of the important class relative to the others.
    """
    moments = moments.double().cpu()
    chosen = torch.zeros(moments.shape[1], dtype=torch.bool)
    chosen[list(important)] = True
    values = {}
    for name, mask in (("important", chosen), ("rest", ~chosen)):
        count, total, squares = moments[:, mask].sum(dim=1)
        values[f"angle_mean_{name}"] = float(total / count)
        values[f"angle_var_{name}"] = float((squares / count - (total / count).square()).clamp(min=0))
    return values
