"""All numbers of an evaluation: one dictionary of plain values, which is ``evaluation.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.errors import UserError
from camri_exp.evaluation.subject import Answers, Subject
from camri_exp.metrics import angles, calibration, intervals, per_class, threshold
from camri_exp.metrics.confusion import summarize

Array = npt.NDArray[Any]
SCHEMA = 1


def measure(subject: Subject, split: str, other: Subject | None = None) -> dict[str, Any]:
    """Every metric of ``subject`` on ``split``; the threshold comes from its validation split.

    Where ``other`` is given, the paired comparison with it on the same images, too.
    """
    answers, important, names = subject.answers[split], subject.important, subject.class_names
    prediction = answers.scores.argmax(1)
    confusion = per_class.confusion_matrix(prediction, answers.target, len(names))
    hit = prediction == answers.target
    found = {
        "schema": SCHEMA,
        "split": split,
        "images": len(hit),
        **subject.title,
        "important_class": important,
        "important_class_names": [names[k] for k in important],
        **summarize(confusion, important, names),
        "intervals": _intervals(prediction, answers, important),
        "important_set": per_class.important_set(confusion, important),
        "per_class": per_class.rows(confusion, names),
        "mistaken_for": {names[k]: per_class.mistaken_for(confusion, k, names) for k in important},
        "missed": _missed(subject, answers),
        "threshold": _threshold(subject, split),
        "angles": _angles(subject, answers),
        "calibration": _calibration(subject, answers),
        "confusion": confusion.tolist(),
        "class_names": names,
    }
    if other is not None:
        found["comparison"] = compare(subject, other, split)
    return found | {"notes": subject.notes + _notes(subject, split)}


def _intervals(prediction: Array, answers: Answers, important: Sequence[int]) -> dict[str, Any]:
    """Wilson's intervals, as if images were independent, and where groups are known the bootstrap over these."""
    hit = prediction == answers.target
    parts = {"accuracy": np.ones(len(hit), dtype=bool)}
    if len(important) == 1:  # of several, each has its own row in per_class
        parts["recall_important"] = answers.target == important[0]
        parts["precision_important"] = prediction == important[0]
    found: dict[str, Any] = {}
    for name, mask in parts.items():
        found[name] = asdict(intervals.wilson(int(hit[mask].sum()), int(mask.sum())))
        if answers.groups is not None:
            clustered = intervals.cluster_bootstrap(hit[mask], answers.groups[mask])
            found[name]["by_group"] = asdict(clustered) | {"groups": len(np.unique(answers.groups[mask]))}
    return found


def _missed(subject: Subject, answers: Answers) -> list[dict[str, Any]]:
    """The important images that were taken for something else, the surest mistakes first."""
    prediction, names = answers.scores.argmax(1), subject.class_names
    wrong = np.flatnonzero(np.isin(answers.target, subject.important) & (prediction != answers.target))
    known = subject.probabilities is not None
    sureness = subject.probabilities(answers.scores) if subject.probabilities else answers.scores
    sure = sureness[np.arange(len(prediction)), prediction]
    return [
        {
            "image": str(answers.names[i]),
            "index": int(i),
            "class": names[answers.target[i]],
            "taken_for": names[prediction[i]],
            "probability": float(sure[i]) if known else None,
        }
        for i in wrong[np.argsort(-sure[wrong], kind="stable")]
    ]


def _threshold(subject: Subject, split: str) -> dict[str, Any] | None:
    """The bias that keeps validation accuracy, and what it gives on ``split``; None where there is nothing to move."""
    chosen = operating_point(subject)
    if chosen is None:
        return None
    answers = subject.answers[split]
    found = threshold.at(answers.scores, answers.target, subject.important, chosen.bias)
    return {"bias": chosen.bias, "chosen_on": "val", "val": asdict(chosen), split: asdict(found)}


def operating_point(subject: Subject) -> threshold.Point | None:
    """The point of largest recall on the validation split that keeps the model's own accuracy there."""
    val = subject.answers["val"]
    if len(subject.important) == len(subject.class_names) or not len(val.target):
        return None
    own = float((val.scores.argmax(1) == val.target).mean())
    return threshold.keeping(threshold.curve(val.scores, val.target, subject.important), own)


def write_curve(subject: Subject, split: str, path: Path) -> None:
    """The whole threshold curve as a CSV file: bias, recall, precision and accuracy, by rising bias."""
    answers = subject.answers[split]
    curve = threshold.curve(answers.scores, answers.target, subject.important)
    columns = [field.name for field in fields(curve)]
    rows = np.stack([getattr(curve, name) for name in columns], axis=1)
    np.savetxt(path, rows, fmt="%.10g", delimiter=",", header=",".join(columns), comments="")


def _angles(subject: Subject, answers: Answers) -> dict[str, Any] | None:
    if not subject.cosines:
        return None
    cosines = answers.scores[np.arange(len(answers.target)), answers.target].astype(np.float64)
    angle = np.arccos(cosines.clip(-1, 1))
    found = angles.own_class_angles(angle, answers.target, subject.important, len(subject.class_names))
    return found | {"unit": "radian", "weights": None if subject.weight is None else _weights(subject)}


def _weights(subject: Subject) -> dict[str, Any]:
    """The two class weights nearest to each other, and the nearest one of each important class."""
    assert subject.weight is not None
    nearest = [angles.nearest_weight(subject.weight, k) for k in range(len(subject.class_names))]
    closest = min(range(len(nearest)), key=lambda k: nearest[k][1])
    names = subject.class_names
    return {
        "smallest_angle": nearest[closest][1],
        "between": [names[closest], names[nearest[closest][0]]],
        "nearest_to_important": {
            names[k]: {"class": names[nearest[k][0]], "angle": nearest[k][1]} for k in subject.important
        },
    }


def diagrams(subject: Subject, answers: Answers) -> dict[str, calibration.Reliability] | None:
    """Reliability of the predicted class, and of "this is an important class"; None without probabilities."""
    if subject.probabilities is None:
        return None
    probabilities = subject.probabilities(answers.scores)
    return {
        "top_label": calibration.top_label(probabilities, answers.scores.argmax(1), answers.target),
        "important": calibration.of_important(probabilities, answers.target, subject.important),
    }


def _calibration(subject: Subject, answers: Answers) -> dict[str, Any] | None:
    found = diagrams(subject, answers)
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


def compare(mine: Subject, other: Subject, split: str) -> dict[str, Any]:
    """Accuracy, and recall of each important class, of two models on the same images.

    Raises:
        UserError: other classes, other images, or other true classes.
    """
    if mine.class_names != other.class_names:
        raise UserError(
            f"compare: {len(mine.class_names)} classes here and {len(other.class_names)} there, or other names: "
            "two models are compared on the same classes."
        )
    a, b = mine.answers[split], other.answers[split]
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
    found: dict[str, Any] = {"with": dict(other.title), "resampled": "images" if a.groups is None else "groups"}
    for name, mask in parts.items():
        groups = None if a.groups is None else a.groups[mask]
        found[name] = asdict(intervals.paired(hit[mask], other_hit[mask], groups))
    return found


def _notes(subject: Subject, split: str) -> list[str]:
    answers = subject.answers[split]
    if answers.groups is not None:
        return [
            f"Several {split} images show one thing: the intervals by group count groups as samples; Wilson's "
            "intervals and McNemar's test take images for independent, and are too sure."
        ]
    if any(one.groups is not None for one in subject.answers.values()):
        return [
            f"Images of this data come in groups (frames of one sign), but the {split} files do not say which belong "
            "together: the intervals take images for independent, and are too narrow."
        ]
    return []
