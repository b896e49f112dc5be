"""Mean squared error to one-hot labels that are scaled up for more important classes."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from camri_exp.losses.base import Loss, at_least_float32, check_classes, normalized
from camri_exp.losses.settings import counts, per_class, per_class_or_important, positive

DECODERS = ("argmax", "debiased", "nearest")


class OutlyingLabelMSELoss(Loss):
    """``1/(NK) sum_n |z_n - alpha r(t_n) onehot(t_n)|²`` (Kato & Hotta 2021, arXiv:2107.02393).

    The optimal output z_k is ``alpha r(k) P(k | x)``, so that argmax weights the probabilities with the ranks. alpha
    scales the outputs and gradients and does not change predictions.

    Args:
        num_classes: K.
        ranks: r > 0. ``counts``: ranks of the class counts as in the paper, 1 for the most frequent class and the
            largest for the rarest; equal counts have equal ranks. One number: the value for the important classes, 1
            for the others. K numbers: one per class.
        alpha: > 0. The paper reports 5 for CIFAR-10, 1 for CIFAR-100 and 6 for CamVid.
        important_class: one id or several; used if ``ranks`` is one number.
        class_counts: training images per class; used if ``ranks`` is ``counts``.
        decoder: how outputs become predictions: ``argmax``, ``debiased`` or ``nearest``; see ``decoded``.

    Raises:
        ValueError: a label that is not above 0, or an unknown decoder.
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
        decoder: str = "argmax",
    ) -> None:
        super().__init__()
        if decoder not in DECODERS:
            raise ValueError(f"decoder={decoder!r}; expected one of {', '.join(DECODERS)}")
        self.decoder = decoder
        label = positive("alpha", alpha) * _ranks(num_classes, ranks, important_class, class_counts)
        if (label <= 0).any():
            raise ValueError(f"ranks={ranks}; expected numbers above 0")
        self.register_constant("label", label)

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        check_classes(scores, len(self.label))
        with torch.autocast(scores.device.type, enabled=False):
            scores = at_least_float32(scores)
            label = self.label[target].to(scores.dtype)
            return F.mse_loss(scores, torch.zeros_like(scores).scatter(1, target[:, None], label[:, None]))

    def decoded(self, scores: Tensor) -> Tensor:
        """Scores (N, K) whose argmax is the decoder's prediction, from outputs z (N, K).

        ``argmax`` leaves the outputs unchanged, which favours classes of high rank. ``debiased`` divides by the labels,
        which removes that bias. ``nearest`` selects the class whose label is nearest to z; a class of high rank then
        requires an output above half its label.
        """
        if self.decoder == "argmax":
            return scores
        scores = at_least_float32(scores)
        label = self.label.to(scores.dtype)
        # nearest: -|z - label_k|²/2, without the term that is equal for all classes
        return scores / label if self.decoder == "debiased" else label * (scores - label / 2)

    def probabilities(self, scores: Tensor) -> Tensor:
        """``z_k / (alpha r(k))`` from decoded scores, an estimate of P(k | x), clipped at 0 and normalised.

        It is uniform where all are 0 or less.
        """
        scores = at_least_float32(scores)
        label = self.label.to(scores.dtype)
        outputs = {"argmax": scores / label, "debiased": scores, "nearest": scores / label**2 + 0.5}
        return normalized(outputs[self.decoder])


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
        levels, level = seen.unique(sorted=True, return_inverse=True)
        return per_class("class_counts", len(levels) - level, num_classes)
    return per_class_or_important("ranks", ranks, num_classes, important_class)
