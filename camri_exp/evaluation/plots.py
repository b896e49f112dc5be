"""The figures of an evaluation, from the predictions and from their metrics."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from camri_exp.evaluation.metrics import reliabilities
from camri_exp.evaluation.operating_point import operating_point
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.evaluation.record import Evaluation
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
LONGEST = 40  # letters of the names of all important classes together


def draw_figures(
    model: ModelPredictions, other: ModelPredictions | None, evaluation: Evaluation, folder: Path
) -> list[Path]:
    """Write every figure that the model allows to ``folder``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in _figures(model, other, evaluation):
        paths.append(folder / f"{name}.png")
        style.save(figure, paths[-1])
    return paths


def _figures(
    model: ModelPredictions, other: ModelPredictions | None, evaluation: Evaluation
) -> Iterator[tuple[str, Figure]]:
    split, important, predictions = evaluation.split, model.important, model.splits[evaluation.split]
    names = style.short(model.important_names, LONGEST)
    models = _labelled(model, other)
    points = [point(labelled, split, label) for label, labelled in models.items()]
    yield "recall_accuracy", recall_against_accuracy(points, names, split)
    yield "confusion", confusion_matrix(np.array(evaluation.confusion), model.class_names, important, split)
    yield "recall_per_class", recall_per_class(evaluation.per_class, important, split)
    if model.has_cosine_scores:
        angle = angles.angle_to_class(predictions.scores, predictions.target)
        yield "angles", angle_histograms(angle, predictions.target, important, names, split)
    circles = [circle(labelled, split, label) for label, labelled in models.items()]
    if drawable := [drawn for drawn in circles if drawn is not None]:
        yield "features", features_on_circles(drawable, split)
    if (diagrams := reliabilities(model, predictions)) is not None:
        named = {"the predicted class": diagrams["top_label"], names: diagrams["important"]}
        yield "reliability", reliability_diagram(named, split)
    if model.images is not None:
        yield "missed", _missed(model, evaluation)


def _labelled(model: ModelPredictions, other: ModelPredictions | None) -> dict[str, ModelPredictions]:
    """The models by loss, or by the folders of the runs where the losses are equal.

    The important class of ``model`` is used for both.
    """
    label = model.loss
    if other is None:
        return {label: model}
    if (second := other.loss) == label:
        second += f" ({Path(str(other.run)).name})"
    return {label: model, second: replace(other, important=model.important)}


def circle(model: ModelPredictions, split: str, label: str) -> Circle | None:
    """Features and class weights on the unit circle; None unless the features have two dimensions."""
    if not model.has_cosine_scores or model.weight is None or model.weight.shape[1] != 2:
        return None
    predictions = model.splits[split]
    features = angles.features_of(predictions.scores, model.weight)
    return Circle(label, features, predictions.target, model.weight, model.class_names, model.important)


def point(model: ModelPredictions, split: str, label: str) -> Model:
    """The point of a model with its 95 % CIs; the mean recall of several important classes has none."""
    predictions, important = model.splits[split], model.important
    hit = predictions.scores.argmax(1) == predictions.target
    inside = np.isin(predictions.target, important)
    recall = intervals.wilson(int(hit[inside].sum()), int(inside.sum()))
    if len(important) > 1:
        mean = threshold.at(predictions.scores, predictions.target, important, 0.0).recall
        recall = intervals.Interval(mean, np.nan, np.nan)
    accuracy = intervals.wilson(int(hit.sum()), len(hit))
    chosen = operating_point(model.splits["val"], model.important)
    if chosen is None:
        return Model(label, accuracy, recall)
    curve = threshold.curve(predictions.scores, predictions.target, important)
    moved = threshold.at(predictions.scores, predictions.target, important, chosen.bias)
    return Model(label, accuracy, recall, curve, moved)


def _missed(model: ModelPredictions, evaluation: Evaluation) -> Figure:
    """The important images that were predicted as another class, most confident mistake first."""
    assert model.images is not None
    missed, split, several = evaluation.missed, evaluation.split, len(model.important) > 1
    shown = missed[:MOST_MISSED]
    captions = [
        f"{style.short(Path(image.image).name)}\n"
        + (f"{style.short(image.class_name)} " if several else "")
        + f"→ {style.short(image.taken_for)}"
        + (f", p = {image.probability:.0%}" if image.probability is not None else "")
        for image in shown
    ]
    pixels = model.images(split, [image.index for image in shown])
    title = (
        f"{style.short(model.important_names, LONGEST)}: {len(missed)} of {evaluation.important_set.support} {split} "
        "images missed"
    )
    if len(shown) < len(missed):
        title += f", the {len(shown)} most confident mistakes"
    elif missed:
        title += ", most confident mistakes first"
    return gallery(pixels, captions, title)
