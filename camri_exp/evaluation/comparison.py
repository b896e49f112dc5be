"""The paired comparison of two models on the same images."""

from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.errors import UserError
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.evaluation.record import Comparison
from camri_exp.metrics import intervals
from camri_exp.results import SplitPredictions


def compare(mine: ModelPredictions, other: ModelPredictions, split: str) -> Comparison:
    """The differences in accuracy, and in the recall of each important class, of two models on the same images.

    Raises:
        UserError: other classes, other images, or other true classes.
    """
    if mine.class_names != other.class_names:
        raise UserError(
            f"compare: {len(mine.class_names)} classes here and {len(other.class_names)} there, or other names: "
            "only models of the same classes can be compared."
        )
    a, b = mine.splits[split], other.splits[split]
    index = _same_images(a, b, split)
    hit, other_hit = a.scores.argmax(1) == a.target, b.scores[index].argmax(1) == a.target

    def paired(mask: npt.NDArray[Any]) -> intervals.Paired:
        return intervals.paired(hit[mask], other_hit[mask], None if a.groups is None else a.groups[mask])

    return Comparison(
        compared_with=other.source,
        resampled="images" if a.groups is None else "groups",
        accuracy=paired(np.ones(len(hit), dtype=bool)),
        recall={mine.class_names[k]: paired(a.target == k) for k in mine.important},
    )


def _same_images(a: SplitPredictions, b: SplitPredictions, split: str) -> npt.NDArray[Any]:
    """The index in ``b`` (n,) of each image of ``a``."""
    if list(a.names) == list(b.names):  # names need not be unique then
        index: npt.NDArray[Any] | None = np.arange(len(a.names))
    else:
        index = intervals.align(a.names, b.names)
    if index is None:
        raise UserError(
            f"compare: the {split} images differ ({len(a.names)} here, {len(b.names)} there, "
            f"{len(set(a.names) & set(b.names))} in common). Compare runs on the same data and split seed."
        )
    if (a.target != b.target[index]).any():
        raise UserError(
            f"compare: the same {split} images have other true classes there. One of the data sets was changed."
        )
    return index
