"""Pictures to rows of a CSV file."""

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from camri_exp.deploy.image_files import batches, find
from camri_exp.errors import UserError
from camri_exp.metrics import threshold
from camri_exp.models.classifier import Classifier
from camri_exp.models.inference import Predictor

COLUMNS = ("path", "prediction", "probability", "probability_important", "angle_deg")
Array = npt.NDArray[Any]


@dataclass
class Tally:
    """What became of the pictures: how many were labelled, how many of them important, and what was unreadable."""

    pictures: int = 0
    important: int = 0
    unreadable: list[str] = field(default_factory=list)

    def refuse(self, path: str, error: BaseException) -> None:
        self.unreadable.append(path)
        tqdm.write(f"unreadable: {path} ({error})", file=sys.stderr)


def label(
    predictor: Predictor,
    model: Classifier,
    images: Path,
    output: Path | None,
    *,
    bias: float = 0.0,
    batch_size: int,
) -> Tally:
    """Write a row for every picture in ``images`` to ``output``, or to the screen.

    ``probability`` is that of the class predicted, ``probability_important`` the sum over the important classes, both
    before ``bias`` moves the threshold; ``angle_deg`` is the angle to the weight of the class predicted.
    """
    tally = Tally()
    known = sum(1 for _ in find(images, lambda *_: None))
    if not known:
        raise UserError(f"images={images} holds no picture: no file with a suffix such as .jpg, .png or .ppm.")
    with _rows(output) as file, tqdm(total=known, unit="picture", disable=None) as bar:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for paths, pixels in batches(
            find(images, tally.refuse), model.metadata.image_size, model.metadata.channels, batch_size, tally.refuse
        ):
            scores, probabilities = predictor(pixels)
            chosen = threshold.moved(scores, model.important_class, bias)
            table.writerows(_text(paths, scores, probabilities, chosen, model))
            tally.pictures += len(paths)
            tally.important += int(np.isin(chosen, model.important_class).sum())
            bar.update(len(paths))
    if not tally.pictures:
        raise UserError(f"images={images}: none of the {known} files is a whole picture.")
    return tally


def _text(
    paths: Sequence[str],
    scores: Array,
    probabilities: Array,
    chosen: Array,
    model: Classifier,
) -> Iterator[tuple[str, ...]]:
    rows = np.arange(len(chosen))
    own, important = probabilities[rows, chosen], probabilities[:, model.important_class].sum(1)
    angles = np.degrees(np.arccos(scores[rows, chosen].astype(np.float64).clip(-1, 1)))
    for i, path in enumerate(paths):
        angle = f"{angles[i]:.3f}" if model.has_cosine_scores else ""
        yield path, model.class_names[chosen[i]], f"{own[i]:.6f}", f"{important[i]:.6f}", angle


@contextmanager
def _rows(output: Path | None) -> Iterator[TextIO]:
    """Where the rows go. A file is called ``FILE.part`` until it is whole."""
    if output is None:
        yield sys.stdout
        return
    if output.is_dir():
        raise UserError(f"output={output} is a folder. Give a file in it: output={output / 'labels.csv'}")
    part = output.with_name(output.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        # surrogateescape: a path that is no UTF-8 comes out with the bytes that it has.
        with open(part, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            yield file
        os.replace(part, output)
    except OSError as error:
        raise UserError(f"output={output} cannot be written: {error.strerror}. Give another file.") from error
