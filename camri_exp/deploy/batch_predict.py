"""Image files to rows of a CSV file."""

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from camri_exp.data.decode import dark_images, reason
from camri_exp.data.image_walk import LeftOut
from camri_exp.deploy.image_files import find_images, image_batches
from camri_exp.errors import UserError
from camri_exp.files import atomic_write
from camri_exp.metrics import threshold
from camri_exp.metrics.angles import angle_to_class
from camri_exp.models.classifier import Classifier
from camri_exp.models.inference import Predictor
from camri_exp.text import csv_cell, printable

COLUMNS = ("path", "prediction", "probability", "probability_important", "angle_deg")
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Labels:
    """What is written for each image.

    Attributes:
        bias: added to the scores of all important classes, or of each.
        review_bias: a larger bias, with which an image that is not predicted as an important class would be: such an
            image is to be looked at. None leaves the column out.
        probabilities: whether a column for each class is added.
    """

    bias: threshold.Bias = 0.0
    review_bias: threshold.Bias | None = None
    probabilities: bool = False

    def columns(self, class_names: Sequence[str]) -> list[str]:
        review = [] if self.review_bias is None else ["review"]
        each = [csv_cell(f"probability of {name}") for name in class_names] if self.probabilities else []
        return [*COLUMNS, *review, *each]

    def to_review(self, scores: Array, prediction: Array, important: Sequence[int]) -> Array:
        """Whether each image (n,) is to be looked at."""
        if self.review_bias is None:
            return np.zeros(len(prediction), dtype=bool)
        lower = threshold.moved(scores, important, self.review_bias)
        return np.isin(lower, important) & ~np.isin(prediction, important)


@dataclass
class PredictionCounts:
    """How many images were predicted, how many of them as an important class or to be reviewed, and skipped files."""

    images: int = 0
    important: int = 0
    review: int = 0
    unreadable: list[str] = field(default_factory=list)

    def skip(self, path: str, error: BaseException) -> None:
        self.unreadable.append(path)
        tqdm.write(printable(f"unreadable: {path} ({reason(error)})"), file=sys.stderr)


def predict_files(
    predictor: Predictor,
    model: Classifier,
    images: Path,
    output: Path | None,
    *,
    labels: Labels,
    batch_size: int,
) -> PredictionCounts:
    """Write one row per image in ``images`` to ``output``, or to the screen where it is None.

    ``probability`` is that of the predicted class and ``probability_important`` the sum over the important classes;
    all probabilities are those of the model, before a bias is added. ``angle_deg`` is the angle to the weight of the
    predicted class, for cosine heads.

    Raises:
        UserError: there are no images, none of them can be read, or the output cannot be written.
    """
    counts, left_out, maxima = PredictionCounts(), LeftOut(), list[int]()
    total = sum(1 for _ in find_images(images, lambda *_: None, left_out))
    if left_out:
        tqdm.write(printable(f"{images}: left out {left_out}."), file=sys.stderr)
    if not total:
        raise UserError(f"images={images} contains no image: no file with a suffix such as .jpg, .png or .ppm.")
    paths = find_images(images, counts.skip)
    preprocessing = model.metadata.preprocessing
    with _opened(output) as file, tqdm(total=total, unit="image", disable=None) as bar:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(labels.columns(model.class_names))
        for names, pixels in image_batches(paths, preprocessing, batch_size, counts.skip, maxima):
            scores, probabilities = predictor(pixels)
            prediction = threshold.moved(scores, model.important_class, labels.bias)
            review = labels.to_review(scores, prediction, model.important_class)
            table.writerows(_rows(names, scores, probabilities, prediction, review, model, labels))
            counts.images += len(names)
            counts.important += int(np.isin(prediction, model.important_class).sum())
            counts.review += int(review.sum())
            bar.update(len(names))
        if not counts.images:
            raise UserError(f"images={images}: none of the {total} files can be read as an image.")
    if line := dark_images(maxima):
        tqdm.write(line, file=sys.stderr)
    return counts


def _rows(
    paths: Sequence[str],
    scores: Array,
    probabilities: Array,
    prediction: Array,
    review: Array,
    model: Classifier,
    labels: Labels,
) -> Iterator[list[str]]:
    probability = probabilities[np.arange(len(prediction)), prediction]
    important = probabilities[:, model.important_class].sum(1)
    angles = np.degrees(angle_to_class(scores, prediction)) if model.has_cosine_scores else None
    for i, path in enumerate(paths):
        angle = "" if angles is None else f"{angles[i]:.3f}"
        row = [
            csv_cell(path),
            csv_cell(model.class_names[prediction[i]]),
            f"{probability[i]:.6f}",
            f"{important[i]:.6f}",
            angle,
        ]
        if labels.review_bias is not None:
            row.append("true" if review[i] else "false")
        if labels.probabilities:
            row.extend(f"{value:.6f}" for value in probabilities[i])
        yield row


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[Any]]:
    """The screen, or a file that appears under its name only when it is complete."""
    if output is None:
        yield sys.stdout
        return
    if output.is_dir():
        raise UserError(f"output={output} is a folder. Give a file in it: output={output / 'labels.csv'}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # surrogateescape: a path that is not UTF-8 is written with the bytes that it has.
        with atomic_write(output, newline="", errors="surrogateescape") as file:
            yield file
    except OSError as error:
        raise UserError(f"output={output} cannot be written: {error.strerror}. Give another file.") from error
