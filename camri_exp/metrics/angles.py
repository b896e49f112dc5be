"""Angles of features and class weights, in radians: the mechanism that the CAMRI paper claims, measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.records import Number

Array = npt.NDArray[Any]


def angle_to_class(cosines: Array, classes: Array) -> npt.NDArray[np.float64]:
    """Angles (n,) in radians between features and the weight of the given class of each, from cosines (n, K).

    Computed in float64; ``metrics.angle_metric.own_angle`` is the float32 version for tensors on any device.
    """
    return np.arccos(cosines[np.arange(len(classes)), classes].astype(np.float64).clip(-1, 1))


@dataclass(frozen=True)
class OwnClassAngles:
    """Angles between features and the weight of their own class, in radians.

    ``mean`` and ``var`` (K,) are per class, NaN for a class without images. ``mean_important``, ``var_important``,
    ``mean_rest`` and ``var_rest`` are over all images of the important classes and of the rest, as in the metrics that
    training logs. ``var_ratio`` is the mean variance within the important classes divided by that within the other
    classes (``by_side``): below 1, the important classes are tighter, independent of the means of the classes.
    """

    mean: list[Number]
    var: list[Number]
    mean_important: Number
    var_important: Number
    mean_rest: Number
    var_rest: Number
    var_ratio: Number


def own_class_angles(angle: Array, target: Array, important: Sequence[int], num_classes: int) -> OwnClassAngles:
    """Means and variances of the angle (n,) between a feature and the weight of its own class ``target`` (n,)."""
    angle = np.asarray(angle, dtype=np.float64)
    count = np.bincount(target, minlength=num_classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(target, weights=angle, minlength=num_classes) / count
        var = np.bincount(target, weights=(angle - mean[target]) ** 2, minlength=num_classes) / count
    inside = np.isin(np.arange(num_classes), list(important))
    values: dict[str, float] = {}
    for name, side in (("important", inside), ("rest", ~inside)):
        selected = angle[side[target]]
        values[f"mean_{name}"] = float(selected.mean()) if len(selected) else np.nan
        values[f"var_{name}"] = float(selected.var()) if len(selected) else np.nan
    inner, outer = by_side(var, important)
    return OwnClassAngles(mean.tolist(), var.tolist(), **values, var_ratio=inner / outer if outer > 0 else np.nan)


def by_side(values: npt.ArrayLike, important: Sequence[int]) -> tuple[float, float]:
    """Mean of per-class ``values`` (K,) over the important classes, and over the others; NaN and None are left out."""
    values = np.asarray(values, dtype=np.float64)
    inside = np.isin(np.arange(len(values)), list(important))
    sides = (side[np.isfinite(side)] for side in (values[inside], values[~inside]))
    inner, outer = (float(known.mean()) if len(known) else np.nan for known in sides)
    return inner, outer


def between_weights(weight: Array) -> Array:
    """Angles (K, K) in radians between the class weights (K, D); 0 on the diagonal."""
    unit = _unit_rows(weight)
    angles = np.arccos(np.clip(unit @ unit.T, -1, 1))
    np.fill_diagonal(angles, 0)
    return angles


def nearest_weights(weight: Array) -> list[tuple[int, float]]:
    """For each class, the class whose weight is nearest to its own, and the angle to it in radians."""
    angles = between_weights(weight)
    np.fill_diagonal(angles, np.inf)
    return list(zip(angles.argmin(1).tolist(), angles.min(1).tolist(), strict=True))


def features_of(cosines: Array, weight: Array) -> Array:
    """Unit features (n, D) from their cosines (n, K) to class weights (K, D) that span the space.

    With the unit weights U the cosines are ``U z``, so that ``z = pinv(U) cos``. The features of a run can therefore
    be drawn without its data set.
    """
    features = np.asarray(cosines, dtype=np.float64) @ np.linalg.pinv(_unit_rows(weight)).T
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(float).tiny)


def _unit_rows(weight: Array) -> npt.NDArray[np.float64]:
    weight = np.asarray(weight, dtype=np.float64)
    return weight / np.linalg.norm(weight, axis=1, keepdims=True)
