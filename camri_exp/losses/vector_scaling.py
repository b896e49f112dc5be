"""Vector scaling: every logit is multiplied and shifted in training."""

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes
from camri_exp.losses.settings import counts, number, per_class_or_important

COUNTS = "counts"


class VectorScalingLoss(Loss):
    """``-w_t log softmax(d_k z_k + i_k)_t``, mean over the batch (Kini et al. 2021, arXiv:2103.01550).

    Where all training samples are classified correctly, weights w and offsets i no longer change the solution that
    training tends to; multipliers d below 1 still do, because they require larger scores of their class.
    d = w = 1 and i = 0 is cross-entropy; d = w = 1 and i = tau log pi is logit adjustment.

    Args:
        num_classes: K.
        multiplier: d > 0. One number: of the important classes, 1 for the others. K numbers: one per class.
            ``counts``: ``(n_k / max n)^gamma`` from the class counts n.
        offset: i. One number: of the important classes, 0 for the others. K numbers: one per class. ``counts``:
            ``tau log(n_k / sum n)``.
        weight: w > 0. One number: of the important classes, 1 for the others. K numbers: one per class.
        gamma: at least 0; used if ``multiplier`` is ``counts``. The paper uses 0.2 to 0.3.
        tau: at least 0; used if ``offset`` is ``counts``. The paper uses 1 to 1.2.
        important_class: one id or several; used for single numbers.
        class_counts: training images per class; used for ``counts``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_classes", "important_class", "class_counts"})
    soft_targets: ClassVar[bool] = True
    multiplier: Tensor  # (K,)
    offset: Tensor  # (K,)
    weight: Tensor  # (K,)

    def __init__(
        self,
        num_classes: int,
        multiplier: float | Sequence[float] | str,
        offset: float | Sequence[float] | str,
        weight: float | Sequence[float] = 1.0,
        gamma: float = 0.3,
        tau: float = 1.0,
        important_class: int | Sequence[int] | None = None,
        class_counts: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if multiplier == COUNTS:
            seen = counts(class_counts)
            multiplier = ((seen / seen.max()) ** number("gamma", gamma)).tolist()
        if offset == COUNTS:
            seen = counts(class_counts)
            offset = (number("tau", tau) * (seen / seen.sum()).log()).tolist()
        for name, value, elsewhere in (
            ("multiplier", multiplier, 1.0),
            ("offset", offset, 0.0),
            ("weight", weight, 1.0),
        ):
            if isinstance(value, str):
                raise ValueError(f"{name}={value!r}; expected a number, {num_classes} numbers, or counts")
            values = per_class_or_important(name, value, num_classes, important_class, elsewhere=elsewhere)
            if name != "offset" and (values <= 0).any():
                raise ValueError(f"{name} holds {values.min():g}; expected numbers above 0")
            self.register_constant(name, values)

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        scores = self._scaled(scores)
        total = F.cross_entropy(scores, target, weight=self.weight.to(scores.dtype), reduction="sum")
        return total / len(target)

    def probabilities(self, scores: Tensor) -> Tensor:
        """``softmax(d z + i - log w)``, (N, K): the P(k | x) for which the scores are optimal."""
        scores = self._scaled(scores)
        return (scores - self.weight.log().to(scores.dtype)).softmax(dim=1)

    def before_start(self) -> dict[str, float]:
        return {"multiplier": 1.0, "offset": 0.0, "weight": 1.0}

    def _scaled(self, scores: Tensor) -> Tensor:
        check_classes(scores, len(self.multiplier))
        scores = at_least_float32(scores)
        return self.multiplier.to(scores.dtype) * scores + self.offset.to(scores.dtype)
