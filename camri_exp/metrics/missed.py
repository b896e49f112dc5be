"""The images of important classes that a model missed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def missed_important(prediction: Array, target: Array, important: Sequence[int], confidence: Array) -> Array:
    """Indices (m,) of the images of an important class that were predicted as another class.

    They are sorted by the confidence in the wrong prediction, most confident mistake first.

    Args:
        prediction: predicted classes (n,).
        target: true classes (n,).
        important: ids of the important classes.
        confidence: probabilities (n, K), or scores where there are no probabilities.
    """
    wrong = np.flatnonzero(np.isin(target, list(important)) & (prediction != target))
    return wrong[np.argsort(-confidence[wrong, prediction[wrong]], kind="stable")]
