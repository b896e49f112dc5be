"""Whether a change costs accuracy, on the same images."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[Any]


def not_worse(gained: Array, lost: Array, n: int, margin: float) -> Array:
    """Whether an accuracy that is lower by ``margin`` or more is rejected, one-sided at 5 %, by Tango's score test.

    Of n paired images, ``gained`` are correct only now and ``lost`` were correct only before; arrays of one shape
    (Tango 1998): ``(b - c + n m) / sqrt(n (2 q - m (1 + m)))`` with q the maximum-likelihood estimate of the share of
    lost images if the true difference is ``-m``. A margin of 0 allows no image to be lost in sum, and is not a test.
    """
    b, c, m = np.asarray(gained, dtype=float), np.asarray(lost, dtype=float), float(margin)
    if m <= 0:
        return b >= c
    w = -b - c - (2 * n - b + c) * m
    q = (np.sqrt(np.maximum(w**2 - 8 * n * c * m * (1 + m), 0)) - w) / (4 * n)
    variance = np.maximum(n * (2 * q - m * (1 + m)), np.finfo(float).tiny)
    return (b - c + n * m) / np.sqrt(variance) > stats.norm.ppf(0.95)
