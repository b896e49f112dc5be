"""All metrics of one model on one split, as an ``Evaluation``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.evaluation.comparison import compare
from camri_exp.evaluation.operating_point import operating_point
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.evaluation.promise_price import priced_promise
from camri_exp.evaluation.record import (
    Angles,
    Calibration,
    CalibrationBins,
    Evaluation,
    GroupInterval,
    Intervals,
    MissedImage,
    NearestWeight,
    ShareInterval,
    Threshold,
    WeightAngles,
)
from camri_exp.metrics import angles, calibration, intervals, per_class, threshold
from camri_exp.metrics.confusion import confusion_matrix, summarize
from camri_exp.metrics.group_intervals import group_interval
from camri_exp.metrics.missed import missed_important
from camri_exp.results import SplitPredictions

Array = npt.NDArray[Any]


def evaluate_predictions(
    model: ModelPredictions,
    split: str,
    other: ModelPredictions | None = None,
    *,
    recall: float | None = None,
    confidence: float = 0.95,
    repeated: bool = False,
) -> Evaluation:
    """Every metric of ``model`` on ``split``; the threshold is chosen on its validation split.

    Where ``other`` is given, the paired comparison with it on the same images is included. Where ``recall`` is given,
    the promise of it, its price and its check on ``split`` are; ``repeated`` says that the check is made again on
    growing data.

    Raises:
        UserError: the two models cannot be compared.
    """
    predictions, important, names = model.splits[split], model.important, model.class_names
    promise = None
    if recall is not None:
        promise = priced_promise(model.splits, split, important, names, recall, confidence, repeated)
    confusion = confusion_matrix(predictions.scores.argmax(1), predictions.target, len(names))
    return Evaluation(
        split=split,
        images=len(predictions),
        **vars(model.source),
        important_class=important,
        important_class_names=[names[k] for k in important],
        **vars(summarize(confusion, important, names)),
        intervals=_intervals(predictions, important),
        important_set=per_class.important_set(confusion, important),
        per_class=per_class.class_metrics(confusion, names),
        mistaken_for={names[k]: per_class.mistaken_for(confusion, k, names) for k in important},
        missed=_missed(model, predictions),
        threshold=_threshold(model, split),
        angles=_angles(model, predictions),
        calibration=_calibration(model, predictions),
        confusion=confusion.tolist(),
        class_names=names,
        promise=promise,
        comparison=None if other is None else compare(model, other, split),
        notes=model.notes + _notes(model, split),
    )


def _intervals(predictions: SplitPredictions, important: Sequence[int]) -> Intervals:
    """Intervals over groups where these are known, otherwise Wilson's, which assume independent images."""
    prediction, target, groups = predictions.scores.argmax(1), predictions.target, predictions.groups
    hit = prediction == target

    def interval(mask: Array) -> ShareInterval:
        if groups is None:
            return ShareInterval(**vars(intervals.wilson(int(hit[mask].sum()), int(mask.sum()))))
        ends = vars(group_interval(hit[mask], groups[mask]))
        return ShareInterval(**ends, by_group=GroupInterval(**ends, groups=len(set(groups[mask]))))

    accuracy = interval(np.ones(len(hit), dtype=bool))
    if len(important) > 1:  # each class has its own in per_class
        return Intervals(accuracy)
    return Intervals(accuracy, interval(target == important[0]), interval(prediction == important[0]))


def _missed(model: ModelPredictions, predictions: SplitPredictions) -> list[MissedImage]:
    """The important images that were predicted as another class, most confident mistake first."""
    prediction, names = predictions.scores.argmax(1), model.class_names
    confidence = model.probabilities(predictions.scores) if model.probabilities else predictions.scores
    return [
        MissedImage(
            image=str(predictions.names[i]),
            index=int(i),
            class_name=names[predictions.target[i]],
            taken_for=names[prediction[i]],
            probability=float(confidence[i, prediction[i]]) if model.probabilities else None,
        )
        for i in missed_important(prediction, predictions.target, model.important, confidence)
    ]


def _threshold(model: ModelPredictions, split: str) -> Threshold | None:
    """The bias that keeps validation accuracy, and the metrics with it on ``split``; None where no bias can exist."""
    point = operating_point(model.splits["val"], model.important)
    if point is None:
        return None
    predictions = model.splits[split]
    here = threshold.at(predictions.scores, predictions.target, model.important, point.bias)
    return Threshold(point.bias, "val", **{"val": point, split: here})


def _angles(model: ModelPredictions, predictions: SplitPredictions) -> Angles | None:
    if not model.has_cosine_scores:
        return None
    angle = angles.angle_to_class(predictions.scores, predictions.target)
    statistics = angles.own_class_angles(angle, predictions.target, model.important, len(model.class_names))
    weights, names = None, model.class_names
    if model.weight is not None:
        nearest = angles.nearest_weights(model.weight)
        first = min(range(len(nearest)), key=lambda k: nearest[k][1])
        weights = WeightAngles(
            smallest_angle=nearest[first][1],
            between=[names[first], names[nearest[first][0]]],
            nearest_to_important={
                names[k]: NearestWeight(names[nearest[k][0]], nearest[k][1]) for k in model.important
            },
        )
    return Angles(**vars(statistics), unit="radian", weights=weights)


def reliabilities(model: ModelPredictions, predictions: SplitPredictions) -> dict[str, calibration.Reliability] | None:
    """Reliability of the predicted class (``top_label``), and of "this is an important class" (``important``).

    None where the model gives no probabilities.
    """
    if model.probabilities is None:
        return None
    probabilities = model.probabilities(predictions.scores)
    return {
        "top_label": calibration.top_label(probabilities, predictions.scores.argmax(1), predictions.target),
        "important": calibration.of_important(probabilities, predictions.target, model.important),
    }


def _calibration(model: ModelPredictions, predictions: SplitPredictions) -> Calibration | None:
    diagrams = reliabilities(model, predictions)
    if diagrams is None:
        return None
    bins = {
        name: CalibrationBins(
            diagram.error,
            diagram.confidence.tolist(),
            diagram.frequency.tolist(),
            diagram.count.tolist(),
            diagram.error_if_calibrated,
        )
        for name, diagram in diagrams.items()
    }
    return Calibration(**bins)


def _notes(model: ModelPredictions, split: str) -> list[str]:
    if model.splits[split].groups is not None:
        return [
            f"Several {split} images show the same object. The intervals of accuracy, recall and precision use groups "
            "as samples, and tests flip the signs of whole groups. Intervals per class assume independent images."
        ]
    if any(predictions.groups is not None for predictions in model.splits.values()):
        return [
            f"Images of this data set come in groups (frames of one sign), but the {split} files do not say which "
            "images belong together. The intervals assume independent images, and are therefore too narrow."
        ]
    return []
