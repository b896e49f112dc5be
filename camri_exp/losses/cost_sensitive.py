"""Cost-sensitive logit adjustment: the training includes the price of a miss, so that the argmax predicts with it."""

from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes
from camri_exp.losses.settings import on_important, scale_of


class CostSensitiveLoss(Loss):
    """``-log softmax(z - log w)_t``, mean over the batch; w is the price of missing a class, 1 if it is not important.

    The optimum is ``softmax(z)_k = w_k P(k | x) / sum_j w_j P(j | x)``: the argmax of z is the prediction of least
    expected cost. It is what moving the threshold by log w does to cross-entropy, during training instead of after it.
    It is logit adjustment (Menon et al. 2021, arXiv:2007.07314) with the prior 1 / w, as Narasimhan & Menon 2021
    (arXiv:2107.04641) use it.

    Args:
        num_classes: K.
        important_class: one id or several.
        price: w >= 1e-6; one number for all important classes, or one per important class. 1 is cross-entropy.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_classes", "important_class"})
    soft_targets: ClassVar[bool] = True
    scale: float = 1.0
    log_price: Tensor  # (K,)

    def __init__(self, num_classes: int, important_class: int | Sequence[int], price: float | Sequence[float]) -> None:
        super().__init__()
        prices = on_important("price", price, important_class, num_classes, elsewhere=1.0, least=1e-6)
        self.register_constant("log_price", prices.log())

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        check_classes(scores, len(self.log_price))
        return F.cross_entropy(self._adjusted(scores), target)

    def probabilities(self, scores: Tensor) -> Tensor:
        """``softmax(z - log w)``, (N, K): P(k | x) without the price."""
        return self._adjusted(scores).softmax(dim=1)

    def before_start(self) -> dict[str, float]:
        return {"log_price": 0.0}

    def _adjusted(self, scores: Tensor) -> Tensor:
        scores = at_least_float32(scores)
        return self.scale * scores - self.log_price.to(scores.dtype)


class CostSensitiveCosineLoss(CostSensitiveLoss):
    """``-log softmax(s cos theta - log w)_t``: ``CostSensitiveLoss`` for the scores of a cosine head.

    It differs from CAMRI in the margin only: both favour the important class on normalised features, this one by a
    constant on its score, whose optimum is known.

    Args:
        num_classes: K.
        important_class: one id or several.
        price: as in ``CostSensitiveLoss``.
        scale: s > 0, or ``auto``; see ``scale_of``.
    """

    score_type: ClassVar[str] = "cosine"

    def __init__(
        self,
        num_classes: int,
        important_class: int | Sequence[int],
        price: float | Sequence[float],
        scale: float | str = 16.0,
    ) -> None:
        super().__init__(num_classes, important_class, price)
        self.scale = scale_of(scale, num_classes)

    def extra_repr(self) -> str:
        return f"scale={self.scale:g}"
