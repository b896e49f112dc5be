"""Real-world-weight cross-entropy: separate costs of false negatives and false positives."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes, log_probabilities, normalized
from camri_exp.losses.settings import finite, numbers, on_important, per_class


class RealWorldWeightedCrossEntropyLoss(Loss):
    """``-[w_fn(t) log p_t + sum_{j != t} w_fp(t, j) log(1 - p_j)]``, mean over the batch; p = softmax(z).

    The categorical form of Ho & Wookey 2019 (arXiv:2001.00570). With w_fn = 1 and w_fp = 0 it is cross-entropy.

    Args:
        num_classes: K.
        false_negative: w_fn >= 0. One number: the cost of missing an important class (1 for the others). K numbers:
            one per class.
        false_positive: w_fp >= 0. One number: the cost of predicting an important class for an image of another class
            (0 for the other predictions). K x K matrix: row t, column j is the cost of predicting j for class t; the
            diagonal is ignored.
        important_class: one id or several. Without it a single number holds for all classes.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_classes", "important_class"})
    false_negative: Tensor  # (K,)
    false_positive: Tensor  # (1, K) where the costs do not depend on the target, else (K, K)

    def __init__(
        self,
        num_classes: int,
        false_negative: float | Sequence[float],
        false_positive: float | Sequence[Sequence[float]],
        important_class: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        important = range(num_classes) if important_class is None else important_class
        misses, calls = numbers("false_negative", false_negative), numbers("false_positive", false_positive)
        if misses.ndim == 0:
            misses = on_important("false_negative", misses, important, num_classes, elsewhere=1.0)
        if calls.ndim == 0:
            calls = on_important("false_positive", calls, important, num_classes, elsewhere=0.0)[None]
        elif calls.shape != (num_classes, num_classes):
            shape = " x ".join(map(str, calls.shape))
            raise ValueError(
                f"false_positive has {shape} values; expected one number, or {num_classes} x {num_classes}"
            )
        self.register_constant("false_negative", per_class("false_negative", misses, num_classes, least=0))
        self.register_constant("false_positive", finite("false_positive", calls, least=0))

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        num_classes, index = len(self.false_negative), target[:, None]
        check_classes(scores, num_classes)
        scores = at_least_float32(scores)
        log_p, log_not_p = log_probabilities(scores)
        misses = self.false_negative[target].to(scores.dtype) * log_p.gather(1, index).squeeze(1)
        calls = self.false_positive.expand(num_classes, -1)[target].to(scores.dtype).scatter(1, index, 0.0)
        return -(misses + (calls * log_not_p).sum(1)).mean()

    def before_start(self) -> dict[str, float]:
        return {"false_negative": 1.0, "false_positive": 0.0}

    def probabilities(self, scores: Tensor) -> Tensor:
        """The P with ``sum_t P_t dL_t/dz = 0`` and sum 1, clipped at 0 and normalised.

        With p = softmax(z) and an unknown l these are the linear equations
        ``(1 - p_i) w_fn(i) P_i - p_i sum_{t != i} w_fp(t, i) P_t = p_i (1 - p_i) l``. Without costs of false positives
        their solution is ``softmax(z - log w_fn)``; where these do not depend on the target, the sum is
        ``w_fp(i) (1 - P_i)``, and l follows from the sum of P.
        """
        log_p, log_rest = log_probabilities(at_least_float32(scores))
        misses, calls = self.false_negative.to(log_p.dtype), self.false_positive.to(log_p.dtype)
        if len(calls) > 1:
            return normalized(_stationary(log_p, log_rest, misses, calls))
        p, rest = log_p.exp(), log_rest.exp()
        whole = (rest * misses + p * calls).clamp_min(torch.finfo(p.dtype).tiny)
        fixed, free = p * calls / whole, p * rest / whole
        return normalized(fixed + free * (1 - fixed.sum(1, keepdim=True)) / free.sum(1, keepdim=True))


def _stationary(log_p: Tensor, log_rest: Tensor, misses: Tensor, calls: Tensor) -> Tensor:
    """The solution P (N, K) of the equations of ``probabilities`` with costs (K, K) of false positives."""
    size, num_classes = log_p.shape
    log_product = log_p + log_rest
    equations = log_p.new_ones(size, num_classes + 1, num_classes + 1)
    equations[:, :-1, :-1] = torch.diag_embed(log_rest.exp() * misses) - log_p.exp()[
        :, :, None
    ] * calls.T.clone().fill_diagonal_(0)
    # The largest coefficient of l is made 1: for confident scores all of them are nearly 0.
    equations[:, :-1, -1] = -(log_product - log_product.amax(1, keepdim=True)).exp()
    equations[:, -1, -1] = 0
    right = torch.cat([torch.zeros_like(log_p), log_p.new_ones(size, 1)], dim=1)
    return torch.linalg.solve(equations, right)[:, :-1]
