"""What a finished run shows beside its numbers: figures, tables, and the important images that it missed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from camri_exp.evaluation.plots import point
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.figures import style
from camri_exp.figures.confusion import confusion_matrix as drawn_confusion
from camri_exp.figures.tradeoff import recall_against_accuracy
from camri_exp.metrics.confusion import confusion_matrix
from camri_exp.metrics.per_class import rows
from camri_exp.results import Predictions, RunResult, SplitPredictions

Array = npt.NDArray[Any]
Probabilities = Callable[[Tensor], Tensor]
MOST_MISSED = 64
MOST_CONFUSED = 100  # rows of the small table
SMALLEST_SIDE = 96  # pixels: smaller pictures are enlarged, or nobody sees anything in a table

CONFUSION, CONFUSED, PER_CLASS = "test/confusion_matrix", "test/confused", "test/per_class"
RATES = ("recall", "recall_low", "recall_high", "precision")  # low and high: Wilson's 95 % interval
RECALL_ACCURACY, MISSED = "test/recall_accuracy", "test/missed"
CONFUSED_COLUMNS = ("true", "predicted", "images", "share of the true class")
PER_CLASS_COLUMNS = ("class", "important", "images", *RATES)
MISSED_COLUMNS = ("picture", "name", "true", "predicted", "probability", "probability of the true class")


def images(result: RunResult, predictions: Predictions) -> dict[str, Any]:
    """Confusion matrix and recall against accuracy, drawn."""
    import wandb

    names, important, test = result.class_names, result.important_class, predictions["test"]
    model = ModelPredictions(
        result.data, result.loss, result.model, result.seed, names, important, predictions, has_cosine_scores=False
    )
    drawn = {
        CONFUSION: drawn_confusion(confusion_matrix(test.scores.argmax(1), test.target, len(names)), names, important),
        RECALL_ACCURACY: recall_against_accuracy([point(model, "test", result.loss)], model.important_names),
    }
    return {key: wandb.Image(style.picture(figure)) for key, figure in drawn.items()}


def tables(result: RunResult, predictions: Predictions, data: Any, probabilities: Probabilities) -> dict[str, Any]:
    """The most frequent mistakes, the rates of each class, and the important images that were missed."""
    import wandb

    names, important, test = result.class_names, result.important_class, predictions["test"]
    confusion = confusion_matrix(test.scores.argmax(1), test.target, len(names))
    found = missed(test, important, names, data.images, probabilities)
    return {
        CONFUSED: wandb.Table(columns=[*CONFUSED_COLUMNS], data=confused(confusion, names)),
        PER_CLASS: wandb.Table(columns=[*PER_CLASS_COLUMNS], data=per_class(confusion, names, important)),
        MISSED: wandb.Table(columns=[*MISSED_COLUMNS], data=[[wandb.Image(picture), *row] for picture, row in found]),
    }


def confused(confusion: Array, names: Sequence[str]) -> list[list[Any]]:
    """The mistakes, most frequent first: true class, predicted class, images, share of the true class."""
    mistakes = confusion - np.diag(np.diag(confusion))
    pairs = np.argwhere(mistakes)
    order = np.argsort(-mistakes[tuple(pairs.T)], kind="stable")[:MOST_CONFUSED]
    share = mistakes / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    return [[names[i], names[j], int(mistakes[i, j]), float(share[i, j])] for i, j in pairs[order]]


def per_class(confusion: Array, names: Sequence[str], important: Sequence[int]) -> list[list[Any]]:
    """Name, whether important, images and ``RATES`` of each class; None where there is no such number."""
    return [
        [row["class"], k in important, row["support"], *(_or_none(row[key]) for key in RATES)]
        for k, row in enumerate(rows(confusion, names))
    ]


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def missed(
    test: SplitPredictions,
    important: Sequence[int],
    names: Sequence[str],
    images: Callable[[str, list[int]], Tensor],
    probabilities: Probabilities,
) -> list[tuple[Image.Image, list[Any]]]:
    """The important test images taken for another class, the surest mistakes first, at most ``MOST_MISSED``.

    Each is its picture and: image name, true class, predicted class, probability of the prediction and of the truth.
    """
    scores, target = test.scores, test.target
    prediction = scores.argmax(1)
    wrong = np.flatnonzero(np.isin(target, important) & (prediction != target))
    if not len(wrong):
        return []
    sure = probabilities(torch.from_numpy(scores[wrong])).detach().numpy()
    order = np.argsort(-sure[np.arange(len(wrong)), prediction[wrong]], kind="stable")[:MOST_MISSED]
    pixels = images("test", wrong[order].tolist()).cpu()
    found = []
    for place, image in zip(order, pixels, strict=True):
        i = wrong[place]
        own, taken = int(target[i]), int(prediction[i])
        chances = float(sure[place, taken]), float(sure[place, own])
        found.append((enlarged(image), [str(test.names[i]), names[own], names[taken], *chances]))
    return found


def enlarged(image: Tensor) -> Image.Image:
    """A uint8 image (C, H, W) as a picture of at least ``SMALLEST_SIDE`` pixels, its pixels kept square."""
    grey = image.shape[0] == 1
    picture = Image.fromarray(image[0].numpy() if grey else image[:3].permute(1, 2, 0).contiguous().numpy())
    times = -(-SMALLEST_SIDE // min(picture.size))
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
