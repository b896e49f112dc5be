"""L2-constrained softmax: CAMRI without its margin, the baseline that differs from it in the margin only."""

from typing import ClassVar

from camri_exp.losses.angular import AngularMarginLoss
from camri_exp.losses.settings import per_class


class L2SoftmaxLoss(AngularMarginLoss):
    """``-log softmax(s cos theta)_t``: normalised features and weights (Wang et al. 2017, NormFace, arXiv:1704.06369).

    Args:
        num_classes: K.
        scale: s > 0, or ``auto``; see ``scale_of``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_classes"})

    def __init__(self, num_classes: int, scale: float | str) -> None:
        super().__init__(per_class("margin", 0.0, num_classes), scale)
