"""``evaluation.json`` as a typed record. Attributes are named as the keys of the file.

Two keys are keywords of Python: ``class`` is the attribute ``class_name``, and ``with`` is ``compared_with``.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from camri_exp.evaluation.promise import Promise
from camri_exp.metrics.angles import OwnClassAngles
from camri_exp.metrics.intervals import Interval, Paired
from camri_exp.metrics.per_class import ClassMetrics, ClassName, ImportantSet, Mistake
from camri_exp.metrics.threshold import Point
from camri_exp.records import Number, Record

KEYS = {"class_name": "class", "compared_with": "with"}
RECALL_OF = "recall of "


@dataclass(frozen=True)
class GroupInterval(Interval):
    """An interval over whole groups of images, and the number of groups."""

    groups: int


@dataclass(frozen=True)
class ShareInterval(Interval):
    """The interval of a share of images: Wilson's, or where groups are known that of ``by_group``."""

    by_group: GroupInterval | None = None


@dataclass(frozen=True)
class Intervals:
    """95 % CIs. Of several important classes each has its own in ``per_class`` instead."""

    accuracy: ShareInterval
    recall_important: ShareInterval | None = None
    precision_important: ShareInterval | None = None


@dataclass(frozen=True)
class MissedImage:
    """An image of the important class ``class_name`` that was predicted as ``taken_for``.

    ``index`` is its position in the split. ``probability`` is that of the prediction, None without probabilities.
    """

    image: str
    index: int
    class_name: ClassName
    taken_for: str
    probability: float | None


@dataclass(frozen=True)
class Threshold:
    """The bias chosen on the split ``chosen_on``, and the metrics with it on that split and on the evaluated one."""

    bias: Number
    chosen_on: str
    val: Point
    train: Point | None = None
    calibration: Point | None = None
    test: Point | None = None
    all: Point | None = None

    def on(self, split: str) -> Point:
        """The metrics with the bias on ``split``, which is ``val`` or the evaluated split."""
        point: Point = getattr(self, split)
        return point


@dataclass(frozen=True)
class NearestWeight:
    """The class whose weight is nearest, and the angle to it in radians."""

    class_name: ClassName
    angle: Number


@dataclass(frozen=True)
class WeightAngles:
    """The smallest angle between two class weights, and the nearest weight of each important class."""

    smallest_angle: Number
    between: list[str]
    nearest_to_important: dict[str, NearestWeight]


@dataclass(frozen=True)
class Angles(OwnClassAngles):
    """Angles to the weight of the own class and between weights; ``weights`` is None where these are not known."""

    unit: str
    weights: WeightAngles | None


@dataclass(frozen=True)
class CalibrationBins:
    """The expected calibration error, and the bins of the reliability diagram.

    ``error_if_calibrated`` is the mean error of outcomes that are drawn from the confidences. It is not 0, because a
    bin holds few images.
    """

    error: Number
    confidence: list[Number]
    frequency: list[Number]
    count: list[int]
    error_if_calibrated: Number = math.nan


@dataclass(frozen=True)
class Calibration:
    """Calibration of the predicted class, and of "this is an important class"."""

    top_label: CalibrationBins
    important: CalibrationBins


@dataclass(frozen=True)
class Source:
    """What was evaluated: a run, or a checkpoint."""

    data: str
    loss: str
    model: str
    seed: int
    run: str | None = None
    checkpoint: str | None = None

    def __str__(self) -> str:
        return str(self.run if self.run is not None else self.checkpoint)


@dataclass(frozen=True)
class Comparison:
    """The paired difference from another model on the same images.

    ``resampled`` says whether the bootstrap draws images or groups. ``recall`` maps each important class to the
    difference in its recall; in the file it is one key per class, ``recall of CLASS``.
    """

    compared_with: Annotated[Source, Field(alias="with")]
    resampled: str
    accuracy: Paired
    recall: dict[str, Paired]


def _gather_recalls(content: object) -> object:
    """The keys ``recall of CLASS`` of a comparison as one mapping."""
    if not isinstance(content, dict):
        return content
    recall = {key.removeprefix(RECALL_OF): value for key, value in content.items() if key.startswith(RECALL_OF)}
    return {**content, "recall": recall}


@dataclass(frozen=True, kw_only=True)
class Evaluation(Record):
    """All metrics of one model on one split.

    ``threshold``, ``angles`` and ``calibration`` are None where the model does not have them; ``promise`` is None
    unless a recall was asked for, and ``comparison`` unless another model was given. ``confusion`` holds counts (K, K),
    rows the true class.
    """

    split: str
    images: int
    data: str
    loss: str
    model: str
    seed: int
    run: str | None = None
    checkpoint: str | None = None
    important_class: list[int]
    important_class_names: list[str]
    accuracy: Number
    recall_important: Number
    precision_important: Number
    macro_recall: Number
    recall: dict[str, Number]
    recall_rare: Number | None = None
    intervals: Intervals
    important_set: ImportantSet
    per_class: list[ClassMetrics]
    mistaken_for: dict[str, list[Mistake]]
    missed: list[MissedImage] = field(default_factory=list)  # the first evaluations did not list them
    threshold: Threshold | None
    angles: Angles | None
    calibration: Calibration | None
    confusion: list[list[int]]
    class_names: list[str]
    promise: Promise | None = None
    comparison: Annotated[Comparison, BeforeValidator(_gather_recalls)] | None = None
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the keys of the file; optional fields without a value are left out."""
        content: dict[str, Any] = plain(self)
        return content


def plain(value: object) -> Any:
    """A record of this module, or a part of one, as plain values under the keys of the file."""
    if dataclasses.is_dataclass(value):
        optional = {f.name for f in dataclasses.fields(value) if f.default is None}
        values = {name: part for name, part in vars(value).items() if part is not None or name not in optional}
        if isinstance(value, Comparison):
            values |= {RECALL_OF + name: paired for name, paired in values.pop("recall").items()}
        return {KEYS.get(name, name): plain(part) for name, part in values.items()}
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value
