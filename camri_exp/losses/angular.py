"""The one angular-margin loss: a margin a class makes it L2-softmax, ArcFace or CAMRI."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes, positive

ABOVE_PI = ("hard", "easy", "reference")


def margin_shift(cosine: Tensor, margin: Tensor, above_pi: str = "hard") -> Tensor:
    """``cos(theta + m) - cos(theta)`` from ``cos(theta)``, both of one shape, without acos; exactly zero for m = 0.

    ``cos(theta + m) = c cos m - sqrt(1 - c²) sin m``. Its derivative by c is unbounded near theta = 0, but with the
    derivative of c by the feature the product is bounded; only the exact 0/0 is kept out.

    Args:
        cosine: cosines of the angle to the own class.
        margin: margins in radians.
        above_pi: what holds for theta + m > pi, where the cosine rises again and would reward the worst samples.
            ``hard`` goes on with ``c - m sin m``, which falls with theta; ``easy`` adds the margin only where c > 0;
            ``reference`` leaves it, as the CAMRI authors' code does.
    """
    cos, sin = margin.cos(), margin.sin()
    sine = ((1 - cosine) * (1 + cosine)).clamp_min(torch.finfo(cosine.dtype).tiny).sqrt()
    shift = (cos - 1) * cosine - sin * sine
    if above_pi == "hard":
        return torch.where(cosine > -cos, shift, -margin * sin)
    if above_pi == "easy":
        return torch.where(cosine > 0, shift, 0.0)
    return shift


def angular_margin_loss(
    scores: Tensor, target: Tensor, margins: Tensor, scale: float, above_pi: str = "hard"
) -> Tensor:
    """``-1/N sum log softmax(s cos(theta_nk + [k = t_n] m_k))_t``; (N, K) cosines, (N,) targets, (K,) margins.

    Only the target's score changes, so N values go through the margin, not N x K.
    """
    check_classes(scores, len(margins))
    with torch.autocast(scores.device.type, enabled=False):
        scores = at_least_float32(scores)
        index = target[:, None]
        margin = margins.to(scores.dtype)[index]
        shift = margin_shift(scores.gather(1, index), margin, above_pi)
        return F.cross_entropy(scale * scores.scatter_add(1, index, shift), target)


class AngularMarginLoss(Loss):
    """Angular-margin softmax with a margin for each class.

    Args:
        margins: (K,) radians in [0, pi).
        scale: s > 0. Too small a scale cannot fit many classes: the least loss is log(1 + (K-1) exp(-sK/(K-1))).
        above_pi: see ``margin_shift``. The default ``hard`` lets the loss grow with theta up to pi, as insightface and
            pytorch-metric-learning do (for margins up to 2.33, where its two pieces meet in the right order); with
            features of 100 dimensions and more the three hardly differ.
    """

    score_type: ClassVar[str] = "cosine"
    margins: Tensor

    def __init__(self, margins: Tensor, scale: float, above_pi: str = "hard") -> None:
        super().__init__()
        wrong = margins[(margins < 0) | (margins >= torch.pi)]
        if len(wrong):
            raise ValueError(f"margin={wrong[0]:g}; expected radians in [0, pi), not degrees: 11.25 degrees are 0.196")
        if above_pi not in ABOVE_PI:
            raise ValueError(f"above_pi={above_pi!r}; expected one of {', '.join(ABOVE_PI)}")
        self.scale, self.above_pi = positive("scale", scale), above_pi
        self.register_constant("margins", margins)

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        return angular_margin_loss(scores, target, self.margins, self.scale, self.above_pi)

    def probabilities(self, scores: Tensor) -> Tensor:
        """``softmax(s cos theta)``: without margins, which exist in training only."""
        return (self.scale * at_least_float32(scores)).softmax(dim=1)

    def extra_repr(self) -> str:
        return f"scale={self.scale}, above_pi={self.above_pi}"
