"""All numbers of an evaluation: one dictionary of plain values, which is ``evaluation.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.errors import UserError
from camri_exp.evaluation.operating_point import operating_point
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.metrics import angles, calibration, intervals, per_class, threshold
from camri_exp.metrics.confusion import confusion_matrix, summarize
from camri_exp.results import SplitPredictions

Array = npt.NDArray[Any]
SCHEMA = 1


def measure(model: ModelPredictions, split: str, other: ModelPredictions | None = None) -> dict[str, Any]:
    """Every metric of ``model`` on ``split``; the threshold comes from its validation split.

    Where ``other`` is given, the paired comparison with it on the same images, too.
    """
    predictions, important, names = model.splits[split], model.important, model.class_names
    prediction = predictions.scores.argmax(1)
    confusion = confusion_matrix(prediction, predictions.target, len(names))
    hit = prediction == predictions.target
    found = {
        "schema": SCHEMA,
        "split": split,
        "images": len(hit),
        **title(model),
        "important_class": important,
        "important_class_names": [names[k] for k in important],
        **asdict(summarize(confusion, important, names)),
        "intervals": _intervals(prediction, predictions, important),
        "important_set": per_class.important_set(confusion, important),
        "per_class": per_class.rows(confusion, names),
        "mistaken_for": {names[k]: per_class.mistaken_for(confusion, k, names) for k in important},
        "missed": _missed(model, predictions),
        "threshold": _threshold(model, split),
        "angles": _angles(model, predictions),
        "calibration": _calibration(model, predictions),
        "confusion": confusion.tolist(),
        "class_names": names,
    }
    if other is not None:
        found["comparison"] = compare(model, other, split)
    return found | {"notes": model.notes + _notes(model, split)}


def title(model: ModelPredictions) -> dict[str, Any]:
    """What was evaluated: data, loss, model, seed, and the run or checkpoint."""
    source = {"run": model.run} if model.run is not None else {"checkpoint": model.checkpoint}
    return {"data": model.data, "loss": model.loss, "model": model.model, "seed": model.seed, **source}


def _intervals(prediction: Array, predictions: SplitPredictions, important: Sequence[int]) -> dict[str, Any]:
    """Wilson's intervals, as if images were independent, and where groups are known the bootstrap over these."""
    hit = prediction == predictions.target
    parts = {"accuracy": np.ones(len(hit), dtype=bool)}
    if len(important) == 1:  # of several, each has its own row in per_class
        parts["recall_important"] = predictions.target == important[0]
        parts["precision_important"] = prediction == important[0]
    found: dict[str, Any] = {}
    for name, mask in parts.items():
        found[name] = asdict(intervals.wilson(int(hit[mask].sum()), int(mask.sum())))
        if predictions.groups is not None:
            clustered = intervals.cluster_bootstrap(hit[mask], predictions.groups[mask])
            found[name]["by_group"] = asdict(clustered) | {"groups": len(np.unique(predictions.groups[mask]))}
    return found


def _missed(model: ModelPredictions, predictions: SplitPredictions) -> list[dict[str, Any]]:
    """The important images that were taken for something else, the surest mistakes first."""
    prediction, names = predictions.scores.argmax(1), model.class_names
    wrong = np.flatnonzero(np.isin(predictions.target, model.important) & (prediction != predictions.target))
    known = model.probabilities is not None
    sureness = model.probabilities(predictions.scores) if model.probabilities else predictions.scores
    sure = sureness[np.arange(len(prediction)), prediction]
    return [
        {
            "image": str(predictions.names[i]),
            "index": int(i),
            "class": names[predictions.target[i]],
            "taken_for": names[prediction[i]],
            "probability": float(sure[i]) if known else None,
        }
        for i in wrong[np.argsort(-sure[wrong], kind="stable")]
    ]


def _threshold(model: ModelPredictions, split: str) -> dict[str, Any] | None:
    """The bias that keeps validation accuracy, and what it gives on ``split``; None where there is nothing to move."""
    chosen = operating_point(model)
    if chosen is None:
        return None
    predictions = model.splits[split]
    found = threshold.at(predictions.scores, predictions.target, model.important, chosen.bias)
    return {"bias": chosen.bias, "chosen_on": "val", "val": asdict(chosen), split: asdict(found)}


def write_curve(model: ModelPredictions, split: str, path: Path) -> None:
    """The whole threshold curve as a CSV file: bias, recall, precision and accuracy, by rising bias."""
    predictions = model.splits[split]
    curve = threshold.curve(predictions.scores, predictions.target, model.important)
    columns = [field.name for field in fields(curve)]
    rows = np.stack([getattr(curve, name) for name in columns], axis=1)
    np.savetxt(path, rows, fmt="%.10g", delimiter=",", header=",".join(columns), comments="")


def _angles(model: ModelPredictions, predictions: SplitPredictions) -> dict[str, Any] | None:
    if not model.has_cosine_scores:
        return None
    cosines = predictions.scores[np.arange(len(predictions.target)), predictions.target].astype(np.float64)
    angle = np.arccos(cosines.clip(-1, 1))
    found = asdict(angles.own_class_angles(angle, predictions.target, model.important, len(model.class_names)))
    return found | {"unit": "radian", "weights": None if model.weight is None else _weights(model)}


def _weights(model: ModelPredictions) -> dict[str, Any]:
    """The two class weights nearest to each other, and the nearest one of each important class."""
    assert model.weight is not None
    nearest = [angles.nearest_weight(model.weight, k) for k in range(len(model.class_names))]
    closest = min(range(len(nearest)), key=lambda k: nearest[k][1])
    names = model.class_names
    return {
        "smallest_angle": nearest[closest][1],
        "between": [names[closest], names[nearest[closest][0]]],
        "nearest_to_important": {
            names[k]: {"class": names[nearest[k][0]], "angle": nearest[k][1]} for k in model.important
        },
    }


def diagrams(model: ModelPredictions, predictions: SplitPredictions) -> dict[str, calibration.Reliability] | None:
    """Reliability of the predicted class, and of "this is an important class"; None without probabilities."""
    if model.probabilities is None:
        return None
    probabilities = model.probabilities(predictions.scores)
    return {
        "top_label": calibration.top_label(probabilities, predictions.scores.argmax(1), predictions.target),
        "important": calibration.of_important(probabilities, predictions.target, model.important),
    }


def _calibration(model: ModelPredictions, predictions: SplitPredictions) -> dict[str, Any] | None:
    found = diagrams(model, predictions)
    if found is None:
        return None
    return {
        name: {
            "error": one.error,
            "confidence": one.confidence.tolist(),
            "frequency": one.frequency.tolist(),
            "count": one.count.tolist(),
        }
        for name, one in found.items()
    }


def compare(mine: ModelPredictions, other: ModelPredictions, split: str) -> dict[str, Any]:
    """Accuracy, and recall of each important class, of two models on the same images.

    Raises:
        UserError: other classes, other images, or other true classes.
    """
    if mine.class_names != other.class_names:
        raise UserError(
            f"compare: {len(mine.class_names)} classes here and {len(other.class_names)} there, or other names: "
            "two models are compared on the same classes."
        )
    a, b = mine.splits[split], other.splits[split]
    place = np.arange(len(a.names)) if list(a.names) == list(b.names) else intervals.align(a.names, b.names)
    if place is None:
        raise UserError(
            f"compare: the {split} images differ ({len(a.names)} here, {len(b.names)} there, "
            f"{len(set(a.names) & set(b.names))} in common). Compare runs on the same data and split seed."
        )
    if (a.target != b.target[place]).any():
        raise UserError(
            f"compare: the same {split} images have other true classes there. One of the data sets changed."
        )
    hit, other_hit = a.scores.argmax(1) == a.target, b.scores[place].argmax(1) == a.target
    parts: Mapping[str, Array] = {"accuracy": np.ones(len(hit), dtype=bool)} | {
        f"recall of {mine.class_names[k]}": a.target == k for k in mine.important
    }
    found: dict[str, Any] = {"with": title(other), "resampled": "images" if a.groups is None else "groups"}
    for name, mask in parts.items():
        groups = None if a.groups is None else a.groups[mask]
        found[name] = asdict(intervals.paired(hit[mask], other_hit[mask], groups))
    return found


def _notes(model: ModelPredictions, split: str) -> list[str]:
    predictions = model.splits[split]
    if predictions.groups is not None:
        return [
            f"Several {split} images show one thing: the intervals by group count groups as samples; Wilson's "
            "intervals and McNemar's test take images for independent, and are too sure."
        ]
    if any(one.groups is not None for one in model.splits.values()):
        return [
            f"Images of this data come in groups (frames of one sign), but the {split} files do not say which belong "
            "together: the intervals take images for independent, and are too narrow."
        ]
    return []
