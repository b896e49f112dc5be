"""The figures of an evaluation, from the predictions and from what ``measure`` found."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from camri_exp.evaluation.metrics import diagrams
from camri_exp.evaluation.operating_point import operating_point
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.figures import style
from camri_exp.figures.angles import angle_histograms
from camri_exp.figures.confusion import confusion_matrix
from camri_exp.figures.feature_circle import Circle, features_on_circles
from camri_exp.figures.gallery import gallery
from camri_exp.figures.per_class_recall import recall_per_class
from camri_exp.figures.reliability import reliability_diagram
from camri_exp.figures.tradeoff import Model, recall_against_accuracy
from camri_exp.metrics import angles, intervals, threshold

MOST_MISSED = 40
LONGEST = 40  # letters of all important classes' names together


def draw(model: ModelPredictions, other: ModelPredictions | None, found: Mapping[str, Any], folder: Path) -> list[str]:
    """Write every figure that the model allows to ``folder``; returns their file names."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in _figures(model, other, found):
        style.save(figure, folder / f"{name}.png")
        written.append(f"{name}.png")
    return written


def _figures(
    model: ModelPredictions, other: ModelPredictions | None, found: Mapping[str, Any]
) -> Iterator[tuple[str, Figure]]:
    split, important, predictions = found["split"], model.important, model.splits[found["split"]]
    names = style.short(model.important_names, LONGEST)
    models = _labelled(model, other)
    points = [point(one, split, label) for label, one in models.items()]
    yield "recall_accuracy", recall_against_accuracy(points, names, split)
    yield "confusion", confusion_matrix(np.array(found["confusion"]), model.class_names, important, split)
    yield "recall_per_class", recall_per_class(found["per_class"], important, split)
    if model.has_cosine_scores:
        own = predictions.scores[np.arange(len(predictions.target)), predictions.target].clip(-1, 1)
        yield "angles", angle_histograms(np.arccos(own), predictions.target, important, names, split)
    if circles := [drawn for label, one in models.items() if (drawn := circle(one, split, label)) is not None]:
        yield "features", features_on_circles(circles, split)
    if (sure := diagrams(model, predictions)) is not None:
        named = {"the predicted class": sure["top_label"], names: sure["important"]}
        yield "reliability", reliability_diagram(named, split)
    if model.images is not None:
        yield "missed", _missed(model, found)


def _labelled(model: ModelPredictions, other: ModelPredictions | None) -> dict[str, ModelPredictions]:
    """By loss; by the runs' folders where the losses are the same. Both are asked for the model's important class."""
    label = model.loss
    if other is None:
        return {label: model}
    if (second := other.loss) == label:
        second += f" ({Path(str(other.run)).name})"
    return {label: model, second: replace(other, important=model.important)}


def circle(model: ModelPredictions, split: str, label: str) -> Circle | None:
    """Features and class weights on the unit circle, of a model whose features have two dimensions."""
    if not model.has_cosine_scores or model.weight is None or model.weight.shape[1] != 2:
        return None
    predictions = model.splits[split]
    features = angles.features_of(predictions.scores, model.weight)
    return Circle(label, features, predictions.target, model.weight, model.class_names, model.important)


def point(model: ModelPredictions, split: str, label: str) -> Model:
    """The point of a model with its intervals; of several important classes the mean recall has none."""
    predictions, important = model.splits[split], model.important
    hit = predictions.scores.argmax(1) == predictions.target
    mine = np.isin(predictions.target, important)
    recall = intervals.wilson(int(hit[mine].sum()), int(mine.sum()))
    if len(important) > 1:
        mean = threshold.at(predictions.scores, predictions.target, important, 0.0).recall
        recall = intervals.Interval(mean, np.nan, np.nan)
    accuracy = intervals.wilson(int(hit.sum()), len(hit))
    chosen = operating_point(model)
    if chosen is None:
        return Model(label, accuracy, recall)
    curve = threshold.curve(predictions.scores, predictions.target, important)
    return Model(
        label, accuracy, recall, curve, threshold.at(predictions.scores, predictions.target, important, chosen.bias)
    )


def _missed(model: ModelPredictions, found: Mapping[str, Any]) -> Figure:
    """The important images that were taken for something else, the surest mistakes first."""
    assert model.images is not None
    rows, several = found["missed"], len(model.important) > 1
    shown = rows[:MOST_MISSED]
    captions = [
        f"{style.short(Path(row['image']).name)}\n"
        + (f"{style.short(row['class'])} " if several else "")
        + f"→ {style.short(row['taken_for'])}"
        + (f", {row['probability']:.0%} sure" if row["probability"] is not None else "")
        for row in shown
    ]
    pictures = model.images(found["split"], [row["index"] for row in shown])
    count = int(np.isin(model.splits[found["split"]].target, model.important).sum())
    title = f"{style.short(model.important_names, LONGEST)}: {len(rows)} of {count} {found['split']} images missed"
    if rows:
        title += f", the {len(shown)} surest mistakes" if len(shown) < len(rows) else ", surest mistakes first"
    return gallery(pictures, captions, title)
