"""Metrics of each class, and of the important ones, from a confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from camri_exp.metrics import confusion as matrices
from camri_exp.metrics.intervals import wilson
from camri_exp.records import Number

Array = npt.NDArray[Any]
# Files use the key "class", which is a keyword in Python.
ClassName = Annotated[str, Field(alias="class")]


@dataclass(frozen=True)
class ClassMetrics:
    """The metrics of one class. ``recall_low`` and ``recall_high`` are Wilson's 95 % CI of the recall.

    Recall is NaN for a class without images, precision for a class that is never predicted, F1 where both are so.
    """

    class_name: ClassName
    support: int
    predicted: int
    recall: Number
    recall_low: Number
    recall_high: Number
    precision: Number
    f1: Number


def class_metrics(confusion: Array, class_names: Sequence[str]) -> list[ClassMetrics]:
    """The metrics of each of the K classes from a confusion matrix (K, K).

    ``F1_k = 2 C[k, k] / (sum_j C[k, j] + sum_i C[i, k])``.
    """
    hits, support, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision = matrices.precision(confusion)
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / (support + predicted)
    metrics = []
    for k, name in enumerate(class_names):
        recall = wilson(hits[k], support[k])
        metrics.append(
            ClassMetrics(
                class_name=name,
                support=int(support[k]),
                predicted=int(predicted[k]),
                recall=recall.value,
                recall_low=recall.low,
                recall_high=recall.high,
                precision=float(precision[k]),
                f1=float(f1[k]),
            )
        )
    return metrics


@dataclass(frozen=True)
class ImportantSet:
    """Recall and precision of "one of the important classes", with Wilson's 95 % CI."""

    support: int
    recall: Number
    recall_low: Number
    recall_high: Number
    precision: Number
    precision_low: Number
    precision_high: Number


def important_set(confusion: Array, important: Sequence[int]) -> ImportantSet:
    """Recall and precision of the important classes as one class: an important image that is predicted as another
    important class counts as found, because an alarm is raised in either case."""
    inside = np.isin(np.arange(len(confusion)), list(important))
    within = confusion[np.ix_(inside, inside)].sum()
    recall = wilson(within, confusion[inside].sum())
    precision = wilson(within, confusion[:, inside].sum())
    return ImportantSet(
        support=int(confusion[inside].sum()),
        recall=recall.value,
        recall_low=recall.low,
        recall_high=recall.high,
        precision=precision.value,
        precision_low=precision.low,
        precision_high=precision.high,
    )


@dataclass(frozen=True)
class Mistake:
    """How many images of a class were predicted as ``class_name``, and their share of all images of that class."""

    class_name: ClassName
    count: int
    share: Number


def mistaken_for(confusion: Array, k: int, class_names: Sequence[str]) -> list[Mistake]:
    """The classes that images of class ``k`` were predicted as by mistake, most frequent first."""
    row = confusion[k].copy()
    total, row[k] = int(row.sum()), 0
    wrong = [j for j in np.argsort(-row, kind="stable") if row[j]]
    return [Mistake(class_names[j], int(row[j]), float(row[j] / total)) for j in wrong]
