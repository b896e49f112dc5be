"""Mean squared error to one-hot labels that lie further out for the classes that matter more."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import (
    Loss,
    at_least_float32,
    check_classes,
    counts,
    numbers,
    on_important,
    per_class,
    positive,
)

DECODERS = ("argmax", "debiased", "nearest")


class OutlyingLabelMSELoss(Loss):
    """``1/(NK) sum_n |z_n - alpha r(t_n) onehot(t_n)|²`` (Kato & Hotta 2021, arXiv:2107.02393).

    The best z_k is ``alpha r(k) p(k | x)``: the largest output predicts as if each class's probability were weighted
    with its rank. alpha alone moves no prediction, only the size of the outputs and gradients.

    Args:
        num_classes: K.
        ranks: r > 0. ``counts``: by the class counts, the rarest class the largest, the commonest 1, equals alike, as
            in the paper. A number: that on the important classes, 1 elsewhere. K numbers: one a class.
        alpha: > 0; reported are 5 for CIFAR-10, 1 for CIFAR-100 and 6 for CamVid.
        important_class: one id or several; read if ``ranks`` is a number.
        class_counts: training images of each class; read if ``ranks`` is ``counts``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"num_classes", "important_class", "class_counts"})
    label: Tensor  # (K,): alpha r(k)

    def __init__(
        self,
        num_classes: int,
        ranks: float | Sequence[float] | str,
        alpha: float,
        important_class: int | Sequence[int] | None = None,
        class_counts: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        label = positive("alpha", alpha) * _ranks(num_classes, ranks, important_class, class_counts)
        if (label <= 0).any():
            raise ValueError(f"ranks={ranks}; expected numbers above 0")
        self.register_constant("label", label)

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        check_classes(scores, len(self.label))
        with torch.autocast(scores.device.type, enabled=False):
            scores = at_least_float32(scores)
            own = self.label[target].to(scores.dtype)
            return F.mse_loss(scores, torch.zeros_like(scores).scatter(1, target[:, None], own[:, None]))

    def probabilities(self, scores: Tensor) -> Tensor:
        """``z_k / (alpha r_k)``, what the best outputs hold of p(k | x), cut at 0 and normalised."""
        estimate = self.decoded(scores, "debiased").clamp_min(0)
        total = estimate.sum(1, keepdim=True)
        return torch.where(total > 0, estimate / total.clamp_min(torch.finfo(total.dtype).tiny), 1 / scores.shape[1])

    def decoded(self, scores: Tensor, decoder: str = "argmax") -> Tensor:
        """Scores (N, K) whose argmax is the decoder's prediction.

        Args:
            scores: outputs (N, K).
            decoder: ``argmax`` takes the outputs as they are, and so favours high ranks; ``debiased`` divides by the
                labels, which undoes that; ``nearest`` takes the class whose label is nearest to z, which asks a high
                rank for an output beyond half its label.
        """
        scores = at_least_float32(scores)
        label = self.label.to(scores.dtype)
        if decoder == "argmax":
            return scores
        if decoder == "debiased":
            return scores / label
        if decoder == "nearest":  # -|z - label_k|²/2, less what all classes share
            return label * (scores - label / 2)
        raise ValueError(f"decoder={decoder!r}; expected one of {', '.join(DECODERS)}")


def _ranks(
    num_classes: int,
    ranks: float | Sequence[float] | str,
    important_class: int | Sequence[int] | None,
    class_counts: Sequence[int] | None,
) -> Tensor:
    if isinstance(ranks, str):
        if ranks != "counts":
            raise ValueError(f"ranks={ranks!r}; expected a number, {num_classes} numbers, or counts")
        seen = counts(class_counts)
        levels, place = seen.unique(sorted=True, return_inverse=True)
        return per_class("class_counts", len(levels) - place, num_classes)
    if numbers("ranks", ranks).ndim:
        return per_class("ranks", ranks, num_classes)
    if important_class is None:
        raise ValueError(f"ranks={ranks} is for the important classes, but important_class is missing")
    return on_important("ranks", ranks, important_class, num_classes, elsewhere=1.0)
