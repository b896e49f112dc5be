"""Figures, tables and the missed important images of a finished run, as W&B media."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import wandb
from PIL import Image
from torch import Tensor

from camri_exp.data.base import ImageDataModule
from camri_exp.evaluation.plots import point
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.figures import style
from camri_exp.figures.confusion import confusion_matrix as draw_confusion_matrix
from camri_exp.figures.tradeoff import recall_against_accuracy
from camri_exp.files import without_nan
from camri_exp.metrics.confusion import confusion_matrix
from camri_exp.metrics.missed import missed_important
from camri_exp.metrics.per_class import class_metrics
from camri_exp.results import Predictions, RunResult, SplitPredictions
from camri_exp.tracking.base import Probabilities

Array = npt.NDArray[Any]
Row = list[Any]
MOST_MISSED = 64
MOST_CONFUSED = 100
SMALLEST_SIDE = 96  # pixels: smaller images are enlarged, because W&B's tables show them unscaled

CONFUSION, CONFUSED, PER_CLASS = "test/confusion_matrix", "test/confused", "test/per_class"
RATES = ("recall", "recall_low", "recall_high", "precision")  # low and high: Wilson's 95 % CI
RECALL_ACCURACY, MISSED = "test/recall_accuracy", "test/missed"
CONFUSED_COLUMNS = ("true", "predicted", "images", "share of the true class")
PER_CLASS_COLUMNS = ("class", "important", "images", *RATES)
MISSED_COLUMNS = ("picture", "name", "true", "predicted", "probability", "probability of the true class")


def images(result: RunResult, predictions: Predictions) -> dict[str, wandb.Image]:
    """The figures of the confusion matrix and of recall against accuracy, by key."""
    names, important, test = result.class_names, result.important_class, predictions["test"]
    model = ModelPredictions(
        result.data, result.loss, result.model, result.seed, names, important, predictions, has_cosine_scores=False
    )
    confusion = confusion_matrix(test.scores.argmax(1), test.target, len(names))
    figures = {
        CONFUSION: draw_confusion_matrix(confusion, names, important),
        RECALL_ACCURACY: recall_against_accuracy([point(model, "test", result.loss)], model.important_names),
    }
    return {key: wandb.Image(style.picture(figure)) for key, figure in figures.items()}


def tables(
    result: RunResult, predictions: Predictions, data: ImageDataModule, probabilities: Probabilities
) -> dict[str, wandb.Table]:
    """The most frequent mistakes, the metrics per class, and the important images that were missed, by key."""
    names, important, test = result.class_names, result.important_class, predictions["test"]
    confusion = confusion_matrix(test.scores.argmax(1), test.target, len(names))
    missed_rows = missed(test, important, names, data.images, probabilities)
    return {
        CONFUSED: wandb.Table(columns=[*CONFUSED_COLUMNS], data=confused(confusion, names)),
        PER_CLASS: wandb.Table(columns=[*PER_CLASS_COLUMNS], data=per_class(confusion, names, important)),
        MISSED: wandb.Table(columns=[*MISSED_COLUMNS], data=[[wandb.Image(image), *row] for image, row in missed_rows]),
    }


def confused(confusion: Array, names: Sequence[str]) -> list[Row]:
    """True class, predicted class, images and share of the true class of each mistake, most frequent first."""
    mistakes = confusion - np.diag(np.diag(confusion))
    pairs = np.argwhere(mistakes)
    order = np.argsort(-mistakes[tuple(pairs.T)], kind="stable")[:MOST_CONFUSED]
    share = mistakes / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    return [[names[i], names[j], int(mistakes[i, j]), float(share[i, j])] for i, j in pairs[order]]


def per_class(confusion: Array, names: Sequence[str], important: Sequence[int]) -> list[Row]:
    """Name, whether important, number of images and ``RATES`` of each class; None where a rate is undefined."""
    return [
        [row.class_name, k in important, row.support, *without_nan([getattr(row, rate) for rate in RATES])]
        for k, row in enumerate(class_metrics(confusion, names))
    ]


def missed(
    test: SplitPredictions,
    important: Sequence[int],
    names: Sequence[str],
    images: Callable[[str, list[int]], Tensor],
    probabilities: Probabilities,
) -> list[tuple[Image.Image, Row]]:
    """The important test images predicted as another class, most confident mistake first, at most ``MOST_MISSED``.

    Each is the image with a row of: image name, true class, predicted class, probability of the prediction and of the
    true class.
    """
    target, prediction = test.target, test.scores.argmax(1)
    confidence = probabilities(torch.from_numpy(test.scores)).detach().numpy()
    indices = missed_important(prediction, target, important, confidence)[:MOST_MISSED].tolist()
    if not indices:
        return []
    rows = []
    for i, pixels in zip(indices, images("test", indices).cpu(), strict=True):
        true, predicted = int(target[i]), int(prediction[i])
        shares = float(confidence[i, predicted]), float(confidence[i, true])
        rows.append((enlarged(pixels), [str(test.names[i]), names[true], names[predicted], *shares]))
    return rows


def enlarged(image: Tensor) -> Image.Image:
    """A uint8 image (C, H, W) with sides of at least ``SMALLEST_SIDE`` pixels, enlarged by a whole factor."""
    grey = image.shape[0] == 1
    picture = Image.fromarray(image[0].numpy() if grey else image[:3].permute(1, 2, 0).contiguous().numpy())
    factor = -(-SMALLEST_SIDE // min(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
