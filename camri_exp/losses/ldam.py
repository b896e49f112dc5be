"""LDAM: CosFace with larger margins for rarer classes."""

from collections.abc import Sequence
from typing import ClassVar

from camri_exp.losses.base import counts, positive
from camri_exp.losses.cosface import CosFaceLoss


class LDAMLoss(CosFaceLoss):
    """CosFace with ``m_k = max_margin (min n / n_k)^(1/4)`` (label-distribution-aware margin, Cao et al. 2019,
    arXiv:1906.07413). With equal class counts it is CosFace.

    Args:
        class_counts: training images per class, n.
        max_margin: margin of the rarest class, in (0, 2], a difference of cosines.
        scale: s > 0, or ``auto``; see ``scale_of``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"class_counts"})

    def __init__(self, class_counts: Sequence[int], max_margin: float = 0.5, scale: float | str = 30.0) -> None:
        seen = counts(class_counts)
        margins = positive("max_margin", max_margin) * (seen.min() / seen) ** 0.25
        super().__init__(len(seen), margins.tolist(), scale)
