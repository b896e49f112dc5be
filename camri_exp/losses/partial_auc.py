"""Partial AUC of the important classes against the rest, as a term that is added to a loss."""

import torch
from torch import Tensor, nn

from camri_exp.losses.base import PRECISE, at_least_float32
from camri_exp.losses.settings import class_ids, number, positive


class PartialAUC(nn.Module):
    """``mu mean_i worst_j [m - d_i + d_j]+²``: i the important samples, a mean over the worst ``beta`` of the others.

    d is the log-odds of the important classes, logsumexp of their scores minus logsumexp of those of the others. With
    the share ``beta`` of the others that have the largest d, the term is small where the important samples come before
    all but few of the others: it bounds 1 - AUC over false positive rates up to ``beta`` (Zhu et al. 2022,
    arXiv:2203.00176; Rockafellar & Uryasev 2000 for the mean of the worst, s + 1/(beta n) sum_j (l_j - s)+ with s the
    1 - beta quantile). It is a mean over pairs of a batch, so batches should hold some important samples; in a batch
    without them it is 0.

    Args:
        num_classes: K.
        important_class: one id or several.
        weight: mu > 0.
        beta: the share of the others, in (0, 1].
        margin: m > 0.
        scale: factor of the scores: that of a loss on cosines.
    """

    important: Tensor  # (K,): 1 for the important classes

    def __init__(
        self,
        num_classes: int,
        important_class: list[int],
        weight: float,
        beta: float = 0.1,
        margin: float = 1.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        ids = class_ids(important_class, num_classes)
        if len(ids) == num_classes:
            raise ValueError("partial_auc needs a class that is not important")
        self.weight, self.margin, self.scale = positive("weight", weight), positive("margin", margin), scale
        self.beta = min(positive("beta", number("beta", beta)), 1.0)
        mask = torch.zeros(num_classes, dtype=PRECISE)
        mask[ids] = 1
        self.register_buffer("important", mask, persistent=False)  # older checkpoints do not have it

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        with torch.autocast(scores.device.type, enabled=False):
            odds = self._log_odds(self.scale * at_least_float32(scores))
            positives = self.important[target].to(odds.dtype)
            pairs = (self.margin - odds[:, None] + odds[None, :]).clamp_min(0).square()
            worst = self._mean_of_worst(pairs, 1 - positives)
            return self.weight * (worst * positives).sum() / positives.sum().clamp_min(1)

    def _log_odds(self, scores: Tensor) -> Tensor:
        inside = self.important.bool()
        return scores.masked_fill(~inside, -torch.inf).logsumexp(1) - scores.masked_fill(inside, -torch.inf).logsumexp(
            1
        )

    def _mean_of_worst(self, pairs: Tensor, negatives: Tensor) -> Tensor:
        """The mean (N,) of the largest ``beta`` of the values (N, N) of each row, among the columns of negatives."""
        share = self.beta * negatives.sum()
        ordered = pairs.masked_fill(negatives[None, :] == 0, 0.0).sort(dim=1, descending=True).values
        # The values of positives are 0, and no value is smaller, so that they come last. A part of the value at the end
        # of the share counts.
        rank = torch.arange(len(negatives), device=pairs.device, dtype=pairs.dtype)
        counted = (share - rank).clamp(0, 1)
        return (ordered * counted).sum(1) / share.clamp_min(torch.finfo(pairs.dtype).tiny)
