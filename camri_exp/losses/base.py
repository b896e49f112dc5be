"""What every loss shares."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn


class Loss(nn.Module):
    """``loss(scores (N, K), target (N,)) -> scalar``, with the scores straight from the head.

    Margins, scales, weights and class counts live in the loss alone: the scores stay those that predict.
    """

    scores: ClassVar[str] = "logits"  # the kind of scores that the loss works on, as the heads name them

    def probabilities(self, scores: Tensor) -> Tensor:
        """Probabilities (N, K) of scores (N, K), as the loss takes them."""
        return at_least_float32(scores).softmax(dim=1)


def at_least_float32(scores: Tensor) -> Tensor:
    """Half-precision scores as float32; float32 and float64 as they are."""
    return scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores


def class_ids(important_class: int | Sequence[int], num_classes: int) -> list[int]:
    """The ids in ``important_class``, each once and each a class, else a ValueError."""
    ids = [important_class] if isinstance(important_class, int) else list(important_class)
    if not ids:
        raise ValueError("important_class is empty; expected at least one class id")
    wrong = [i for i in ids if not 0 <= i < num_classes]
    if wrong:
        raise ValueError(f"important_class={wrong[0]}; expected ids from 0 to {num_classes - 1}")
    if len(set(ids)) < len(ids):
        raise ValueError(f"important_class={ids} names a class twice")
    return ids


def per_class(name: str, value: float | Sequence[float], num_classes: int) -> Tensor:
    """``value`` as a vector (K,): a number for all classes, or K numbers; finite, else a ValueError."""
    vector = torch.as_tensor(value, dtype=torch.float64)
    if vector.ndim == 0:
        vector = vector.repeat(num_classes)
    if vector.shape != (num_classes,):
        raise ValueError(f"{name} has {vector.numel()} values; expected one number or {num_classes}, one a class")
    if not torch.isfinite(vector).all():
        raise ValueError(f"{name}={value}; expected finite numbers")
    return vector


def on_important(
    name: str, value: float | Sequence[float], important_class: int | Sequence[int], num_classes: int, elsewhere: float
) -> Tensor:
    """A vector (K,) that is ``value`` (one number for all, or one each) on the important classes."""
    ids = class_ids(important_class, num_classes)
    values = torch.as_tensor(value, dtype=torch.float64)
    if values.ndim and len(values) != len(ids):
        raise ValueError(f"{name} has {len(values)} values; expected one number, or {len(ids)}: one an important class")
    vector = torch.full((num_classes,), elsewhere, dtype=torch.float64)
    vector[ids] = values
    return per_class(name, vector.tolist(), num_classes)


def positive(name: str, value: float) -> float:
    """``value`` if it is a finite number above zero, else a ValueError."""
    if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
        raise ValueError(f"{name}={value}; expected a number above 0")
    return float(value)


def counts(class_counts: Sequence[int]) -> Tensor:
    """Class counts (K,) as float64, each at least 1, else a ValueError."""
    vector = torch.as_tensor(class_counts, dtype=torch.float64)
    if vector.ndim != 1 or (vector < 1).any():
        raise ValueError("class_counts must give every class at least one training image")
    return vector
