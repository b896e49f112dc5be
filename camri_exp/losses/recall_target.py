"""Cost-sensitive logit adjustment whose price moves until the important class has a given recall."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from camri_exp.losses.cost_sensitive import CostSensitiveLoss
from camri_exp.losses.settings import number, on_important, per_class


class RecallTargetLoss(CostSensitiveLoss):
    """``CostSensitiveLoss`` with a price that moves after each epoch (Narasimhan & Menon 2021, arXiv:2107.04641).

    ``log w <- clip(log w + rate (recall - r), 0, log max_price)`` with r the recall of the important class on images
    that are held out of training and choose nothing else. The price is a Lagrange multiplier: at rest, r = ``recall``,
    and the argmax is the decision of largest accuracy among those with that recall (Neyman & Pearson).

    Args:
        num_classes: K.
        important_class: one id or several.
        recall: the recall to reach, in (0, 1); one number for all important classes, or one per important class.
        rate: how fast log w moves, at least 0; 0 is ``CostSensitiveLoss``. 0.1 to 1.
        price: w of the first epoch.
        max_price: the largest w.
        held_out: the share of the training images, or of their groups, on which r is measured, in (0, 1).
    """

    adapts: ClassVar[bool] = True
    recall: Tensor  # (K,); 0 for the classes that are not important

    def __init__(
        self,
        num_classes: int,
        important_class: int | Sequence[int],
        recall: float | Sequence[float],
        rate: float = 0.5,
        price: float | Sequence[float] = 1.0,
        max_price: float = 100.0,
        held_out: float = 0.1,
    ) -> None:
        super().__init__(num_classes, important_class, price)
        targets = on_important("recall", recall, important_class, num_classes, elsewhere=0.0, least=0)
        if (targets >= 1).any() or not targets.any():
            raise ValueError(f"recall={recall}; expected a recall above 0 and below 1")
        self.rate, self.max_log_price = number("rate", rate), math.log(number("max_price", max_price, least=1))
        self.held_out = number("held_out", held_out, least=1e-3, below=1)
        self.register_constant("recall", per_class("recall", targets, num_classes))

    @torch.no_grad()
    def adapt(self, scores: Tensor, target: Tensor) -> dict[str, float]:
        """Move the price, given the scores (n, K) of held-out images; returns the price and the recall there.

        Important classes without a held-out image keep their price.
        """
        of_class = torch.nn.functional.one_hot(target, len(self.recall)).to(self.recall.dtype)
        hits = of_class * (scores.argmax(1) == target)[:, None]
        measured = (self.recall > 0) & (of_class.sum(0) > 0)
        recall = hits.sum(0) / of_class.sum(0).clamp_min(1)
        moved = (self.log_price + self.rate * (self.recall - recall)).clamp(0, self.max_log_price)
        self.log_price.copy_(torch.where(measured, moved, self.log_price))
        price = self.log_price[self.recall > 0].exp()
        return {"price": price.mean().item(), "held_out_recall": recall[measured].mean().item()}

    def before_start(self) -> dict[str, float]:
        return {}  # the price moves from the first epoch on

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}, held_out={self.held_out:g}"
