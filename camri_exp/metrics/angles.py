"""Angles of features and class weights, radians: the CAMRI paper's claimed mechanism, measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class OwnClassAngles:
    """Angles between features and their own class's weight, in radians.

    ``mean`` and ``var`` (K,) are per class, NaN without images. ``mean_important``, ``var_important``, ``mean_rest``
    and ``var_rest`` are over all images of the important classes and of the rest, as the metrics logged in training.
    ``var_ratio`` is the mean variance within the important classes over that within the other classes (``by_side``):
    below 1, the important classes are tighter, wherever the means of the classes lie.
    """

    mean: list[float]
    var: list[float]
    mean_important: float
    var_important: float
    mean_rest: float
    var_rest: float
    var_ratio: float


def own_class_angles(angle: Array, target: Array, important: Sequence[int], num_classes: int) -> OwnClassAngles:
    """Mean and variance of the angle (n,) between a feature and its own class's weight."""
    angle = np.asarray(angle, dtype=np.float64)
    count = np.bincount(target, minlength=num_classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(target, weights=angle, minlength=num_classes) / count
        var = np.bincount(target, weights=(angle - mean[target]) ** 2, minlength=num_classes) / count
    inside = np.isin(np.arange(num_classes), list(important))
    values: dict[str, float] = {}
    for name, side in (("important", inside), ("rest", ~inside)):
        chosen = angle[side[target]]
        values[f"mean_{name}"] = float(chosen.mean()) if len(chosen) else np.nan
        values[f"var_{name}"] = float(chosen.var()) if len(chosen) else np.nan
    own, others = by_side(var, important)
    return OwnClassAngles(mean.tolist(), var.tolist(), **values, var_ratio=own / others if others > 0 else np.nan)


def by_side(values: npt.ArrayLike, important: Sequence[int]) -> tuple[float, float]:
    """Mean of the classes' ``values`` (K,) over the important classes, and over the others, NaN or None left out."""
    values = np.asarray(values, dtype=np.float64)
    inside = np.isin(np.arange(len(values)), list(important))
    sides = (side[np.isfinite(side)] for side in (values[inside], values[~inside]))
    own, others = (float(known.mean()) if len(known) else np.nan for known in sides)
    return own, others


def between_weights(weight: Array) -> Array:
    """Angles (K, K) between the class weights (K, D); 0 on the diagonal."""
    weight = np.asarray(weight, dtype=np.float64)
    unit = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    angles = np.arccos(np.clip(unit @ unit.T, -1, 1))
    np.fill_diagonal(angles, 0)
    return angles


def nearest_weight(weight: Array, k: int) -> tuple[int, float]:
    """The class whose weight is nearest to that of class ``k``, and the angle to it."""
    angles = between_weights(weight)[k]
    angles[k] = np.inf
    return int(angles.argmin()), float(angles.min())


def features_of(cosines: Array, weight: Array) -> Array:
    """Unit features (n, D) from their cosines (n, K) to weights (K, D) that span the space.

    With unit weights U the cosines are ``U z``, so ``z = pinv(U) cos``: no data set is needed to draw a run's features.
    """
    weight = np.asarray(weight, dtype=np.float64)
    unit = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    features = np.asarray(cosines, dtype=np.float64) @ np.linalg.pinv(unit).T
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(float).tiny)
