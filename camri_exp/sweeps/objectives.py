"""What a search for settings maximises."""

import math

from camri_exp.metrics.threshold import recall_if_accurate
from camri_exp.results import RunResult

Objectives = tuple[float, float] | float


def objectives(result: RunResult, min_accuracy: float | None) -> Objectives | None:
    """What a search maximises: validation accuracy and recall of the important class, or one number for both.

    None where the validation split has no image of the important class: a search would end at NaN, not at None.
    """
    if math.isnan(result.val.recall_important):
        return None
    if min_accuracy is None:
        return result.val.accuracy, result.val.recall_important
    return recall_if_accurate(result.val.recall_important, result.val.accuracy, min_accuracy)
