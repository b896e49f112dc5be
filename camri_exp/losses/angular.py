"""The angular-margin loss; L2-softmax, ArcFace and CAMRI differ in the margins per class only."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes, log_probabilities, normalized
from camri_exp.losses.settings import scale_of

ABOVE_PI = ("hard", "easy", "reference")


def margin_shift(cosine: Tensor, margin: Tensor, above_pi: str = "hard") -> Tensor:
    """``cos(theta + m) - cos(theta)`` from ``c = cos(theta)``, without acos; exactly zero for m = 0.

    ``cos(theta + m) = c cos m - sqrt(1 - c²) sin m``. Its derivative with respect to c is unbounded near theta = 0, but
    the product with the derivative of c with respect to the feature is bounded. Only 0/0 has to be avoided.

    Args:
        cosine: cosines of the angles to the weight of the target class, of any shape.
        margin: margins in radians, of the same shape.
        above_pi: the behaviour for theta + m > pi, where the cosine increases again and would reward the worst samples.
            ``hard`` uses ``c - m sin m`` there, which decreases with theta. ``easy`` adds the margin only where c > 0.
            ``reference`` changes nothing, as the code of the CAMRI authors.
    """
    cos, sin = margin.cos(), margin.sin()
    sine = ((1 - cosine) * (1 + cosine)).clamp_min(torch.finfo(cosine.dtype).tiny).sqrt()
    shift = (cos - 1) * cosine - sin * sine
    if above_pi == "hard":
        return torch.where(cosine > -cos, shift, -margin * sin)
    if above_pi == "easy":
        return torch.where(cosine > 0, shift, 0.0)
    return shift


def margin_slope(cosine: Tensor, margin: Tensor, above_pi: str = "hard") -> Tensor:
    """The derivative of ``cos(theta) + margin_shift`` with respect to ``cos(theta)``."""
    sine = ((1 - cosine) * (1 + cosine)).clamp_min(torch.finfo(cosine.dtype).eps).sqrt()
    slope = margin.cos() + margin.sin() * cosine / sine
    if above_pi == "hard":
        return torch.where(cosine > -margin.cos(), slope, 1.0)
    if above_pi == "easy":
        return torch.where(cosine > 0, slope, 1.0)
    return slope


def margin_probabilities(cosine: Tensor, shift: Tensor, slope: Tensor | float, scale: float) -> Tensor:
    """P(k | x) from cosines (N, K) that minimise ``-sum_t P_t log softmax(s cos theta_k + [k = t] s shift_k)_t``.

    With ``u = softmax(s cos theta)``, ``zeta_t = 1 - u_t + u_t e^{s shift_t}`` and ``slope`` the derivative of
    ``cos theta + shift``, the gradient is 0 exactly where ``P_t ∝ u_t zeta_t / (u_t + slope_t (1 - u_t))``.
    """
    log_u, log_rest = log_probabilities(scale * cosine)
    u, rest = log_u.exp(), log_rest.exp()
    return normalized(u * (rest + u * (scale * shift).exp()) / (u + slope * rest))


def angular_margin_loss(
    scores: Tensor, target: Tensor, margins: Tensor, scale: float, above_pi: str = "hard"
) -> Tensor:
    """``-1/N sum_n log softmax(s cos(theta_nk + [k = t_n] m_k))_t``.

    The margin changes the target's score only, hence N values are computed with it, not N x K.

    Args:
        scores: cosines (N, K).
        target: classes (N,).
        margins: radians (K,).
        scale: s.
        above_pi: see ``margin_shift``.
    """
    check_classes(scores, len(margins))
    with torch.autocast(scores.device.type, enabled=False):
        scores = at_least_float32(scores)
        index = target[:, None]
        margin = margins.to(scores.dtype)[index]
        shift = margin_shift(scores.gather(1, index), margin, above_pi)
        return F.cross_entropy(scale * scores.scatter_add(1, index, shift), target)


class AngularMarginLoss(Loss):
    """Angular-margin softmax with one margin per class.

    ``-1/N sum_n log softmax(s cos(theta_nk + [k = t_n] m_k))_t``

    Args:
        margins: (K,) radians in [0, pi).
        scale: s > 0, or ``auto``; see ``scale_of``. Too small a scale cannot fit many classes: the minimum of the loss
            is log(1 + (K-1) exp(-sK/(K-1))).
        above_pi: see ``margin_shift``. With the default ``hard`` the loss increases with theta up to pi, as in
            insightface and pytorch-metric-learning (for margins up to 2.33, where the two pieces meet in the right
            order). With features of 100 dimensions or more the three hardly differ.

    Raises:
        ValueError: a margin outside [0, pi), a scale that is not positive, or an unknown ``above_pi``.
    """

    score_type: ClassVar[str] = "cosine"
    margins: Tensor

    def __init__(self, margins: Tensor, scale: float | str, above_pi: str = "hard") -> None:
        super().__init__()
        wrong = margins[(margins < 0) | (margins >= torch.pi)]
        if len(wrong):
            raise ValueError(f"margin={wrong[0]:g}; expected radians in [0, pi), not degrees: 11.25 degrees are 0.196")
        if above_pi not in ABOVE_PI:
            raise ValueError(f"above_pi={above_pi!r}; expected one of {', '.join(ABOVE_PI)}")
        self.scale, self.above_pi = scale_of(scale, len(margins)), above_pi
        self.register_constant("margins", margins)

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        return angular_margin_loss(scores, target, self.margins, self.scale, self.above_pi)

    def before_start(self) -> dict[str, float]:
        return {"margins": 0.0}

    def probabilities(self, scores: Tensor) -> Tensor:
        """``P_k ∝ u_k (1 - u_k + u_k e^{s shift_k}) / (u_k + slope_k (1 - u_k))``, u = softmax(s cos theta).

        Without margins it is u. The formula is exact where the cosines minimise the expected loss at x, and can take
        any value; see ``margin_probabilities``.
        """
        scores = at_least_float32(scores)
        margins = self.margins.to(scores.dtype).expand_as(scores)
        shift = margin_shift(scores, margins, self.above_pi)
        return margin_probabilities(scores, shift, margin_slope(scores, margins, self.above_pi), self.scale)

    def extra_repr(self) -> str:
        return f"scale={self.scale}, above_pi={self.above_pi}"
