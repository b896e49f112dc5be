"""Angles to the weight of the own class, accumulated over the batches of an epoch and over processes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class OwnClassAngle(Metric):
    """Count, sum and sum of squares, per class, of the angle between a feature and the weight of its own class.

    ``update(cosines (N, K), target (N,))``; ``compute() -> (3, K)`` in radians. ``angle_summary`` computes means and
    variances from it. A variance from sums in float32 is rounded; ``own_class_angles`` computes it exactly from the
    angles in ``predictions.npz``.
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
    """Angles (N,) in radians to the weight of the own class, from cosines (N, K).

    Float32, on the device of the cosines; ``metrics.angles.angle_to_class`` is the same for arrays, in float64.
    """
    return cosines.gather(1, target[:, None]).squeeze(1).float().clamp(-1, 1).acos()


def angle_summary(moments: Tensor, important: Sequence[int]) -> dict[str, float]:
    """Mean (radians) and variance (radians²) over the images of the important classes, and over the rest.

    The CAMRI paper claims that its loss shrinks the variance of the important class relative to the others.
    """
    moments = moments.double().cpu()
    inside = torch.zeros(moments.shape[1], dtype=torch.bool)
    inside[list(important)] = True
    values = {}
    for name, mask in (("important", inside), ("rest", ~inside)):
        count, total, squares = moments[:, mask].sum(dim=1)
        values[f"angle_mean_{name}"] = float(total / count)
        values[f"angle_var_{name}"] = float((squares / count - (total / count).square()).clamp(min=0))
    return values
