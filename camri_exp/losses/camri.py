"""CAMRI: an angular margin for the important classes, larger than that of the others."""

import math
from collections.abc import Sequence
from typing import ClassVar

from camri_exp.losses.angular import AngularMarginLoss
from camri_exp.losses.settings import number, on_important


class CAMRILoss(AngularMarginLoss):
    """Class-sensitive Additive Angular Margin loss (Nishiyama et al. 2022, arXiv:2209.10920).

    ``-1/N sum_n log [ e^{s cos(theta_t + m_t)} / (e^{s cos(theta_t + m_t)} + sum_{k != t} e^{s cos theta_k}) ]`` with
    m_k > 0 for the important classes and 0 for the others. For a sample of another class it equals the L2-softmax loss.

    ``other_margin`` gives the other classes a margin too: at 0 it is the CAMRI of the paper, and at ``margin`` ArcFace.

    Args:
        num_classes: K.
        important_class: one id or several.
        margin: radians in [0, pi); one number for all important classes, or one per important class.
        scale: s > 0, 8 to 16 for ten to fifty classes; or ``auto``, see ``scale_of``.
        above_pi: ``hard``, ``easy`` or ``reference``; see ``margin_shift``.
        other_margin: radians in [0, pi) for the classes that are not important.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_classes", "important_class"})

    def __init__(
        self,
        num_classes: int,
        important_class: int | Sequence[int],
        margin: float | Sequence[float],
        scale: float | str,
        above_pi: str = "hard",
        other_margin: float = 0.0,
    ) -> None:
        elsewhere = number("other_margin", other_margin, below=math.pi)
        super().__init__(on_important("margin", margin, important_class, num_classes, elsewhere), scale, above_pi)
        self.other_margin = elsewhere

    def before_start(self) -> dict[str, float]:
        """Before the start all classes have ``other_margin``: ArcFace, or without it L2-softmax."""
        return {"margins": self.other_margin}
