"""Metrics from one confusion matrix per epoch, so that batches and processes make no difference."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.results import SplitMetrics


def recall(confusion: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Recall per class, (K,): ``C[k, k] / sum_j C[k, j]`` for ``C[target, prediction]``; NaN without images."""
    return _ratio(np.diag(confusion), confusion.sum(axis=1))


def precision(confusion: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Precision per class, (K,): ``C[k, k] / sum_i C[i, k]``; NaN for a class that is never predicted."""
    return _ratio(np.diag(confusion), confusion.sum(axis=0))


def accuracy(confusion: npt.NDArray[Any]) -> float:
    """Accuracy: the share of images on the diagonal; NaN without images."""
    return float(_ratio(np.trace(confusion), confusion.sum()))


def confusion_matrix(prediction: npt.NDArray[Any], target: npt.NDArray[Any], num_classes: int) -> npt.NDArray[Any]:
    """Counts (K, K) of predictions (n,) and targets (n,): rows are true classes, columns predicted ones."""
    pairs = target.astype(np.int64) * num_classes + prediction
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def rare_classes(class_counts: Sequence[int]) -> list[int]:
    """The third of the classes, rounded up, with the fewest training images; none if all have nearly as many.

    Of equal counts the class of the smaller id comes first. Nearly: no class has twice as many as another.
    """
    if max(class_counts) < 2 * min(class_counts):
        return []
    return np.argsort(class_counts, kind="stable")[: -(-len(class_counts) // 3)].tolist()


def summarize(
    confusion: npt.NDArray[Any],
    important: Sequence[int],
    class_names: Sequence[str],
    class_counts: Sequence[int] | None = None,
) -> SplitMetrics:
    """The metrics of ``result.json`` from a confusion matrix.

    Args:
        confusion: counts (K, K); rows are true classes, columns predicted ones.
        important: ids of the important classes; their recalls and precisions are averaged.
        class_names: K names.
        class_counts: training images per class, for ``recall_rare``.

    Returns:
        The metrics. The recall of a class without images is NaN; macro recall is the mean over the classes that have
        images. The precision of a class that is never predicted counts as 0, as in scikit-learn.
    """
    recalls, precisions = recall(confusion), np.nan_to_num(precision(confusion))
    important = list(important)
    rare = [] if class_counts is None else rare_classes(class_counts)
    return SplitMetrics(
        accuracy=accuracy(confusion),
        recall_important=float(recalls[important].mean()),
        precision_important=float(precisions[important].mean()),
        macro_recall=float(np.nanmean(recalls)) if np.isfinite(recalls).any() else float("nan"),
        recall={name: float(value) for name, value in zip(class_names, recalls, strict=True)},
        recall_rare=float(recalls[rare].mean()) if rare else None,
    )


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.true_divide(part, whole)
