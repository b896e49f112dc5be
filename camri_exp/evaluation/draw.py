"""The figures of an evaluation, from the answers and from what ``measure`` found."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from camri_exp.evaluation.measure import diagrams, operating_point
from camri_exp.evaluation.subject import Subject
from camri_exp.figures import style
from camri_exp.figures.angles import angle_histograms
from camri_exp.figures.circle import Circle, features_on_circles
from camri_exp.figures.confusion import confusion_matrix
from camri_exp.figures.gallery import gallery
from camri_exp.figures.recalls import recall_per_class
from camri_exp.figures.reliability import reliability_diagram
from camri_exp.figures.tradeoff import Model, recall_against_accuracy
from camri_exp.metrics import angles, intervals, threshold

MOST_MISSED = 40
LONGEST = 40  # letters of all important classes' names together


def draw(subject: Subject, other: Subject | None, found: Mapping[str, Any], folder: Path) -> list[str]:
    """Write every figure that the subject allows to ``folder``; returns their file names."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in _figures(subject, other, found):
        style.save(figure, folder / f"{name}.png")
        written.append(f"{name}.png")
    return written


def _figures(subject: Subject, other: Subject | None, found: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    split, important, answers = found["split"], subject.important, subject.answers[found["split"]]
    names = style.short(subject.important_names, LONGEST)
    models = _labelled(subject, other)
    points = [point(one, split, label) for label, one in models.items()]
    yield "recall_accuracy", recall_against_accuracy(points, names, split)
    yield "confusion", confusion_matrix(np.array(found["confusion"]), subject.class_names, important, split)
    yield "recall_per_class", recall_per_class(found["per_class"], important, split)
    if subject.cosines:
        own = answers.scores[np.arange(len(answers.target)), answers.target].clip(-1, 1)
        yield "angles", angle_histograms(np.arccos(own), answers.target, important, names, split)
    if circles := [drawn for label, one in models.items() if (drawn := circle(one, split, label)) is not None]:
        yield "features", features_on_circles(circles, split)
    if (sure := diagrams(subject, answers)) is not None:
        named = {"the predicted class": sure["top_label"], names: sure["important"]}
        yield "reliability", reliability_diagram(named, split)
    if subject.pictures is not None:
        yield "missed", _missed(subject, found)


def _labelled(subject: Subject, other: Subject | None) -> dict[str, Subject]:
    """By loss; by the runs' folders where the losses are the same. Both are asked for the subject's important class."""
    label = str(subject.title["loss"])
    if other is None:
        return {label: subject}
    if (second := str(other.title["loss"])) == label:
        second += f" ({Path(other.title['run']).name})"
    return {label: subject, second: replace(other, important=subject.important)}


def circle(subject: Subject, split: str, label: str) -> Circle | None:
    """Features and class weights on the unit circle, of a model whose features have two dimensions."""
    if not subject.cosines or subject.weight is None or subject.weight.shape[1] != 2:
        return None
    answers = subject.answers[split]
    features = angles.features_of(answers.scores, subject.weight)
    return Circle(label, features, answers.target, subject.weight, subject.class_names, subject.important)


def point(subject: Subject, split: str, label: str) -> Model:
    """The point of a model with its intervals; of several important classes the mean recall has none."""
    answers, important = subject.answers[split], subject.important
    hit = answers.scores.argmax(1) == answers.target
    mine = np.isin(answers.target, important)
    recall = intervals.wilson(int(hit[mine].sum()), int(mine.sum()))
    if len(important) > 1:
        mean = threshold.at(answers.scores, answers.target, important, 0.0).recall
        recall = intervals.Interval(mean, np.nan, np.nan)
    accuracy = intervals.wilson(int(hit.sum()), len(hit))
    chosen = operating_point(subject)
    if chosen is None:
        return Model(label, accuracy, recall)
    curve = threshold.curve(answers.scores, answers.target, important)
    return Model(label, accuracy, recall, curve, threshold.at(answers.scores, answers.target, important, chosen.bias))


def _missed(subject: Subject, found: Mapping[str, Any]) -> Figure:
    """The important images that were taken for something else, the surest mistakes first."""
    assert subject.pictures is not None
    rows, several = found["missed"], len(subject.important) > 1
    shown = rows[:MOST_MISSED]
    captions = [
        f"{style.short(Path(row['image']).name)}\n"
        + (f"{style.short(row['class'])} " if several else "")
        + f"→ {style.short(row['taken_for'])}"
        + (f", {row['probability']:.0%} sure" if row["probability"] is not None else "")
        for row in shown
    ]
    pictures = subject.pictures(found["split"], [row["index"] for row in shown])
    count = int(np.isin(subject.answers[found["split"]].target, subject.important).sum())
    title = f"{style.short(subject.important_names, LONGEST)}: {len(rows)} of {count} {found['split']} images missed"
    if rows:
        title += f", the {len(shown)} surest mistakes" if len(shown) < len(rows) else ", surest mistakes first"
    return gallery(pictures, captions, title)
