"""What the thresholds of a promise cost on a split, and whether that split agrees with the promise."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.evaluation.promise import ClassPrice, Price, Promise, independent, promise
from camri_exp.metrics import intervals, threshold
from camri_exp.metrics.intervals import Interval
from camri_exp.metrics.monitoring import Check, check_class
from camri_exp.metrics.promise import shared
from camri_exp.results import SplitPredictions

Array = npt.NDArray[Any]


def priced_promise(
    splits: Mapping[str, SplitPredictions],
    split: str,
    important: Sequence[int],
    class_names: Sequence[str],
    recall: float,
    confidence: float,
    repeated: bool = False,
) -> Promise:
    """The ``promise`` from ``splits``, with its ``price`` and its ``check`` on ``split``."""
    made = promise(splits, important, class_names, recall, confidence)
    return replace(
        made,
        price=price(splits[split], split, important, class_names, made.biases),
        check=check(splits[split], split, important, made, repeated),
    )


def price(
    predictions: SplitPredictions,
    split: str,
    important: Sequence[int],
    class_names: Sequence[str],
    biases: Sequence[float],
) -> Price | None:
    """What the biases of the important classes cost on ``split``; None where a class has none."""
    if any(map(math.isnan, biases)):
        return None
    target, groups = predictions.target, predictions.groups
    prediction = threshold.moved(predictions.scores, important, biases)
    hit = prediction == target
    paired = intervals.paired(hit, predictions.scores.argmax(1) == target, groups)
    everywhere = np.ones(len(target), dtype=bool)

    def of_class(k: int) -> ClassPrice:
        own, alarm = target == k, prediction == k
        precision = float(hit[alarm].mean()) if alarm.any() else math.nan
        return ClassPrice(class_names[k], _share(hit, own, groups), precision, _share(alarm, ~own, groups))

    difference = Interval(paired.difference, paired.low, paired.high)
    return Price(split, _share(hit, everywhere, groups), difference, [of_class(k) for k in important])


def _share(values: Array, mask: Array, groups: Array | None) -> Interval:
    """The share of ``values`` in ``mask`` with its 95 % CI: exact for images, a bootstrap over groups where known."""
    if groups is not None:
        return intervals.cluster_bootstrap(values[mask], groups[mask])
    return intervals.clopper_pearson(int(values[mask].sum()), int(mask.sum()))


def check(
    predictions: SplitPredictions, split: str, important: Sequence[int], made: Promise, repeated: bool = False
) -> Check | None:
    """Whether the images of ``split`` agree with the promise ``made``; None where a class has no threshold.

    Of each group one image counts. A kept promise is called broken with probability at most 1 - ``made.confidence``;
    with ``repeated``, over all checks of a growing set of images. Where the recall that was asked for could not be
    promised, the best possible one is checked.
    """
    if any(map(math.isnan, made.biases)):
        return None
    confidence = shared(made.confidence, len(important))
    prediction = threshold.moved(predictions.scores, important, made.biases)
    checks = []
    for k, own in zip(important, made.per_class, strict=True):
        units = independent(predictions, np.flatnonzero(predictions.target == k))
        recall, found = made.recall if own.reached else own.best, int((prediction[units] == k).sum())
        checks.append(check_class(own.class_name, recall, found, len(units), confidence, repeated))
    return Check(split, repeated, any(own.broken for own in checks), checks)
