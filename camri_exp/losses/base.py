"""The interface of the losses, and what their computations share."""

from typing import ClassVar

import torch
from torch import Tensor, nn

# The dtype of constants per class: float64, so that float64 scores lose no precision. Apple's GPUs do not have it.
PRECISE = torch.float32 if torch.backends.mps.is_available() else torch.float64


class Loss(nn.Module):
    """``loss(scores (N, K), target (N,)) -> scalar``, the mean over the batch; the scores are those of the head.

    Margins, scales, weights and class counts are in the loss alone, so that ``scores.argmax(1)`` is the prediction.

    A subclass declares what its constructor needs to know of the task and which scores it works on. Subclasses of the
    subclass inherit both.

    Attributes:
        needs: names of constructor arguments that the training run fills in: ``num_classes`` (K), ``important_class``
            (a list of ids) and ``class_counts`` (training images per class). A loss that does not need
            ``important_class`` trains the same whichever class that is.
        score_type: ``logits`` or ``cosine``, as the heads name them.
        soft_targets: whether ``target`` may hold the shares of the classes, (N, K) in [0, 1] with a sum of 1, as MixUp
            and CutMix make them.
        adapts: whether ``adapt`` is called after each epoch, with images that are held out of training for that. The
            attribute ``held_out`` is then the share of the training images, and a setting of the config.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    score_type: ClassVar[str] = "logits"
    soft_targets: ClassVar[bool] = False
    adapts: ClassVar[bool] = False

    def register_constant(self, name: str, values: Tensor | None) -> None:
        """Register ``values`` as a buffer: it moves with the loss, is saved with it, and is not trained."""
        self.register_buffer(name, None if values is None else values.to(PRECISE))

    def before_start(self) -> dict[str, float]:
        """Names of the constants that ``loss.start`` delays, and the value of each at which it has no effect."""
        return {}

    def adapt(self, scores: Tensor, target: Tensor) -> dict[str, float]:
        """Change constants, given the scores (n, K) of held-out images; returns numbers to log. See ``adapts``."""
        raise NotImplementedError(f"{type(self).__name__} declares adapts, but has no adapt")

    def decoded(self, scores: Tensor) -> Tensor:
        """The scores (N, K) that the model returns, whose argmax is the prediction, from those of the head."""
        return scores

    def probabilities(self, scores: Tensor) -> Tensor:
        """Estimates of P(k | x), (N, K), from scores (N, K).

        They undo what the loss does to the scores: for the scores that minimise the expected loss at x,
        ``sum_t P(t | x) loss(scores, t)``, they are P(k | x) exactly.
        """
        return at_least_float32(scores).softmax(dim=1)


def at_least_float32(scores: Tensor) -> Tensor:
    """Scores in half precision converted to float32; float32 and float64 unchanged."""
    return scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores


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


def normalized(weights: Tensor) -> Tensor:
    """Weights (N, K) without their negative part, divided by their sums; uniform where all are 0."""
    weights = weights.clamp_min(0)
    total = weights.sum(1, keepdim=True)
    return torch.where(total > 0, weights / total.clamp_min(torch.finfo(total.dtype).tiny), 1 / weights.shape[1])


def check_classes(scores: Tensor, num_classes: int) -> None:
    """Raise a ValueError unless ``scores`` has ``num_classes`` columns."""
    if scores.shape[-1] != num_classes:
        raise ValueError(f"the scores have {scores.shape[-1]} classes, the loss was made for {num_classes}")
