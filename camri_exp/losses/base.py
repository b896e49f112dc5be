"""The interface of the losses, and the checks of their settings."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor, nn

PERFECT = 0.999  # the probability of the right class that scale=auto makes possible
Numbers = float | Sequence[float] | Sequence[Sequence[float]] | Tensor

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


def numbers(name: str, value: Numbers) -> Tensor:
    """``value``, a number or an array of numbers, as a float64 tensor.

    Raises:
        ValueError: the value is not numeric.
    """
    try:
        return torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}={value!r}; expected numbers") from error


def class_ids(important_class: int | Sequence[int], num_classes: int) -> list[int]:
    """The class ids in ``important_class``.

    Raises:
        ValueError: no id, an id that is not a class, or one that is given twice.
    """
    ids = numbers("important_class", important_class).reshape(-1).tolist()
    if not ids:
        raise ValueError("important_class is empty; expected at least one class id")
    wrong = [i for i in ids if i not in range(num_classes)]
    if wrong:
        raise ValueError(f"important_class={wrong[0]:g}; expected ids from 0 to {num_classes - 1}")
    if len(set(ids)) < len(ids):
        raise ValueError(f"important_class={important_class} names a class twice")
    return [int(i) for i in ids]


def per_class(name: str, value: Numbers, num_classes: int, least: float | None = None) -> Tensor:
    """``value`` as a vector (K,). One number holds for all classes.

    Raises:
        ValueError: neither one nor K values, or a value that is not finite or below ``least``.
    """
    vector = numbers(name, value)
    if vector.ndim == 0:
        vector = vector.repeat(num_classes)
    if vector.shape != (num_classes,):
        raise ValueError(f"{name} has {vector.numel()} values; expected one number or {num_classes}, one per class")
    return finite(name, vector, least)


def on_important(
    name: str,
    value: Numbers,
    important_class: int | Sequence[int],
    num_classes: int,
    elsewhere: float,
    least: float | None = None,
) -> Tensor:
    """A vector (K,): ``value`` for the important classes, ``elsewhere`` for the others.

    Args:
        value: one number for all important classes, or one per important class.

    Raises:
        ValueError: a wrong id, a wrong number of values, or a value that is not finite or below ``least``.
    """
    ids = class_ids(important_class, num_classes)
    values = numbers(name, value)
    if values.ndim and values.shape != (len(ids),):
        raise ValueError(
            f"{name} has {values.numel()} values; expected one number, or {len(ids)}: one per important class"
        )
    vector = torch.full((num_classes,), elsewhere, dtype=torch.float64)
    vector[ids] = values
    return finite(name, vector, least)


def per_class_or_important(
    name: str,
    value: Numbers,
    num_classes: int,
    important_class: int | Sequence[int] | None,
    least: float | None = None,
    elsewhere: float = 1.0,
) -> Tensor:
    """A vector (K,): K values as given, or one number for the important classes and ``elsewhere`` for the others.

    Raises:
        ValueError: one number without ``important_class``, or what ``per_class`` and ``on_important`` refuse.
    """
    if numbers(name, value).ndim:
        return per_class(name, value, num_classes, least)
    if important_class is None and value == elsewhere:
        return per_class(name, value, num_classes, least)
    if important_class is None:
        raise ValueError(f"{name}={value} is for the important classes, but important_class is missing")
    return on_important(name, value, important_class, num_classes, elsewhere, least)


def finite(name: str, values: Tensor, least: float | None = None) -> Tensor:
    """``values``, checked.

    Raises:
        ValueError: a value that is not finite or below ``least``.
    """
    if not values.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity; expected finite numbers")
    if least is not None and (values < least).any():
        raise ValueError(f"{name} holds {values.min():g}; expected numbers of at least {least:g}")
    return values


def number(name: str, value: float, least: float = 0.0, below: float = math.inf) -> float:
    """``value`` as a float, checked.

    Raises:
        ValueError: it is not a number in [least, below).
    """
    if not (isinstance(value, Real) and least <= value < below):
        upper = f" and below {below:g}" if below < math.inf else ""
        raise ValueError(f"{name}={value!r}; expected a number of at least {least:g}{upper}")
    return float(value)


def positive(name: str, value: float) -> float:
    """``value`` as a float, checked.

    Raises:
        ValueError: it is not a finite number above 0.
    """
    if not (isinstance(value, Real) and math.isfinite(value) and value > 0):
        raise ValueError(f"{name}={value!r}; expected a number above 0")
    return float(value)


def scale_of(scale: float | str, num_classes: int) -> float:
    """The scale of a cosine softmax: ``scale`` itself, or for ``auto`` the least one that suffices for K classes.

    ``s = (K-1)/K log((K-1) p / (1-p))`` is the scale at which a perfect head, whose K weights are as far apart as
    possible, gives the right class the probability p = 0.999: 8.2 for 10 classes, 10.4 for 43.

    Raises:
        ValueError: it is neither ``auto`` nor a finite number above 0.
    """
    if not isinstance(scale, str):
        return positive("scale", scale)
    if scale != "auto":
        raise ValueError(f"scale={scale!r}; expected a number above 0, or auto")
    odds = PERFECT / (1 - PERFECT)
    return (num_classes - 1) / num_classes * math.log((num_classes - 1) * odds)


def counts(class_counts: Sequence[int] | None) -> Tensor:
    """Class counts (K,) as a float64 tensor.

    Raises:
        ValueError: no counts, or a count below 1.
    """
    if class_counts is None:
        raise ValueError("class_counts is missing; give the number of training images per class")
    vector = numbers("class_counts", class_counts)
    if vector.ndim != 1 or not ((vector >= 1) & vector.isfinite()).all():
        raise ValueError("class_counts must give every class at least one training image")
    return vector
