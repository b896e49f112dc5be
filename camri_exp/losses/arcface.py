"""ArcFace: the same angular margin for all classes."""

from typing import ClassVar

from camri_exp.losses.angular import AngularMarginLoss
from camri_exp.losses.settings import per_class


class ArcFaceLoss(AngularMarginLoss):
    """Additive angular margin loss (Deng et al. 2019, arXiv:1801.07698); equal to CAMRI with all classes important.

    Args:
        num_classes: K.
        margin: radians in [0, pi).
        scale: s > 0, or ``auto``; see ``scale_of``. Face recognition uses 64 for thousands of classes; 8 to 16 suit ten
            classes.
        above_pi: ``hard``, ``easy`` or ``reference``; see ``margin_shift``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_classes"})

    def __init__(self, num_classes: int, margin: float, scale: float | str, above_pi: str = "hard") -> None:
        super().__init__(per_class("margin", margin, num_classes), scale, above_pi)
