"""The promise of a recall: thresholds from calibration images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.data.splits import stable_fraction
from camri_exp.errors import UserError
from camri_exp.metrics.intervals import Interval
from camri_exp.metrics.monitoring import Check
from camri_exp.metrics.per_class import ClassName
from camri_exp.metrics.promise import fewest_images, recall_threshold, shared
from camri_exp.records import Number
from camri_exp.results import SplitPredictions

Array = npt.NDArray[Any]
CALIBRATION, VALIDATION = "calibration", "val"
CHOSE_THE_CHECKPOINT = "the validation images chose the checkpoint"


@dataclass(frozen=True)
class ClassPromise:
    """What is promised of one important class; ``bias``, ``missed``, ``best`` and ``unchanged`` as ``RecallThreshold``.

    ``images`` counts the calibration images of the class, and ``groups`` their groups, None where these are not known.
    Of each group one image counts: ``missed`` is a number of groups then. ``why`` says why nothing is promised.
    """

    class_name: ClassName
    bias: Number
    images: int
    groups: int | None
    missed: int
    promised: bool
    best: Number
    unchanged: Number
    why: str | None

    @property
    def reached(self) -> bool:
        """Whether the images suffice for the recall, as a promise or as an estimate."""
        return self.why in (None, CHOSE_THE_CHECKPOINT)


@dataclass(frozen=True)
class ClassPrice:
    """Recall, precision and false alarms of one important class; the last is the share of all other images."""

    class_name: ClassName
    recall: Interval
    precision: Number
    false_alarms: Interval


@dataclass(frozen=True)
class Price:
    """The metrics with the thresholds on ``split``; ``difference`` in accuracy is that from the unchanged model."""

    split: str
    accuracy: Interval
    difference: Interval
    per_class: list[ClassPrice]


@dataclass(frozen=True)
class Promise:
    """A recall that is promised with ``confidence``, from the images of ``split``.

    Of several important classes, ``bias`` is a list, ``images``, ``groups`` and ``missed`` are sums, ``promised`` is
    true where every recall is promised, and ``best`` is the smallest; ``per_class`` has each of them.
    """

    recall: float
    confidence: float
    bias: Number | list[Number]
    split: str
    images: int
    groups: int | None
    missed: int
    promised: bool
    best: Number
    why: str | None
    per_class: list[ClassPromise]
    price: Price | None = None
    check: Check | None = None

    @property
    def biases(self) -> list[float]:
        """The bias of each important class."""
        return [own.bias for own in self.per_class]


def promise(
    splits: Mapping[str, SplitPredictions],
    important: Sequence[int],
    class_names: Sequence[str],
    recall: float,
    confidence: float,
) -> Promise:
    """The promise from the calibration images in ``splits``, else the estimate from the validation images.

    The validation images chose the checkpoint, so that nothing is promised with them: ``promised`` is false.

    Raises:
        UserError: every class is important, so that there is no threshold to move.
    """
    if len(important) == len(class_names):
        raise UserError("recall=…: every class is important, so that no threshold can be moved.")
    split = CALIBRATION if CALIBRATION in splits else VALIDATION
    each = shared(confidence, len(important))
    classes = [_class_promise(splits[split], split, important, k, class_names[k], recall, each) for k in important]
    groups = [own.groups for own in classes if own.groups is not None]
    return Promise(
        recall=recall,
        confidence=confidence,
        bias=classes[0].bias if len(classes) == 1 else [own.bias for own in classes],
        split=split,
        images=sum(own.images for own in classes),
        groups=sum(groups) if groups else None,
        missed=sum(own.missed for own in classes),
        promised=all(own.promised for own in classes),
        best=min(own.best for own in classes),
        why=next((own.why for own in classes if own.why is not None), None),
        per_class=classes,
    )


def _class_promise(
    predictions: SplitPredictions,
    split: str,
    important: Sequence[int],
    k: int,
    name: str,
    recall: float,
    confidence: float,
) -> ClassPromise:
    index = np.flatnonzero(predictions.target == k)
    units = independent(predictions, index)
    own = recall_threshold(predictions.scores[units], important, k, recall, confidence)
    why = None
    if own.images < fewest_images(recall, confidence):
        why = "too few images"
    elif not own.reached:
        why = "too many images look like another important class"
    elif split == VALIDATION:
        why = CHOSE_THE_CHECKPOINT
    groups = None if predictions.groups is None else len(units)
    return ClassPromise(name, own.bias, len(index), groups, own.missed, why is None, own.best, own.unchanged, why)


def independent(predictions: SplitPredictions, index: Array) -> Array:
    """The images ``index`` of one class, or one image of each group where groups are known.

    It is the image with the smallest hash of its name, which says nothing of its scores.
    """
    if predictions.groups is None:
        return index
    ranked = sorted(index, key=lambda i: stable_fraction(str(predictions.names[i])))
    first = {predictions.groups[i]: i for i in reversed(ranked)}
    return np.sort(np.array(list(first.values()), dtype=np.int64))
