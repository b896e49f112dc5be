"""Real-world-weight cross-entropy: separate costs of false negatives and false positives."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes, finite, numbers, on_important, per_class


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


def log_probabilities(scores: Tensor) -> tuple[Tensor, Tensor]:
    """``log p`` and ``log(1 - p)`` of p = softmax(scores), both (N, K), finite and accurate for scores of any size.

    ``log(1 - p_j)`` is computed as ``log1p(-p_j)``, which is accurate for p_j up to 1/2. Only the largest score can
    have a larger p_j: there it is ``logsumexp_{i != j} z - logsumexp z``.
    """
    top = scores.detach().argmax(1, keepdim=True)
    log_p = scores.log_softmax(1)
    rest = scores.scatter(1, top, -torch.inf).logsumexp(1, keepdim=True) - scores.logsumexp(1, keepdim=True)
    # The column of the largest score is replaced before log1p: the infinite gradient at -1 would reach the sum.
    log_not_p = torch.log1p(-log_p.scatter(1, top, -1.0).exp())
    return log_p, log_not_p.scatter(1, top, rest)
