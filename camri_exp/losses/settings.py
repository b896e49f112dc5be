"""Settings of losses as numbers or vectors over the classes, checked."""

import math
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor

PERFECT = 0.999  # the probability of the right class that scale=auto makes possible
Numbers = float | Sequence[float] | Sequence[Sequence[float]] | Tensor


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
