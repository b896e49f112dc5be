"""What a confusion matrix says of each class, and of the important ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.metrics import confusion as of
from camri_exp.metrics.intervals import wilson

Array = npt.NDArray[Any]


def rows(confusion: Array, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """A row a class: name, support, recall with Wilson's interval, precision, F1 and how often it was predicted.

    ``F1_k = 2 C[k, k] / (sum_j C[k, j] + sum_i C[i, k])``. Recall is NaN for a class without images, precision for
    one never predicted, F1 where both are so.
    """
    hits, support, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision = of.precision(confusion)
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / (support + predicted)
    found = []
    for k, name in enumerate(class_names):
        recall = wilson(hits[k], support[k])
        found.append(
            {
                "class": name,
                "support": int(support[k]),
                "predicted": int(predicted[k]),
                "recall": recall.value,
                "recall_low": recall.low,
                "recall_high": recall.high,
                "precision": float(precision[k]),
                "f1": float(f1[k]),
            }
        )
    return found


def important_set(confusion: Array, important: Sequence[int]) -> dict[str, float]:
    """Recall and precision of "one of the important classes", whichever of them: for alarms it matters little which."""
    inside = np.isin(np.arange(len(confusion)), list(important))
    within = confusion[np.ix_(inside, inside)].sum()
    recall = wilson(within, confusion[inside].sum())
    precision = wilson(within, confusion[:, inside].sum())
    return {
        "support": int(confusion[inside].sum()),
        "recall": recall.value,
        "recall_low": recall.low,
        "recall_high": recall.high,
        "precision": precision.value,
        "precision_low": precision.low,
        "precision_high": precision.high,
    }


def mistaken_for(confusion: Array, k: int, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """What images of class ``k`` were taken for instead, most frequent first; ``share`` is of all images of ``k``."""
    row = confusion[k].copy()
    total, row[k] = int(row.sum()), 0
    wrong = [j for j in np.argsort(-row, kind="stable") if row[j]]
    return [{"class": class_names[j], "count": int(row[j]), "share": float(row[j] / total)} for j in wrong]
