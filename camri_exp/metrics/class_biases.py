"""Calibration by likelihood: one temperature and one bias per class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

Array = npt.NDArray[Any]
RANGE = (1e-3, 1e3)  # of the inverse temperature; it grows without bound where every image is classified correctly
RIDGE = 1e-4  # keeps the biases finite for classes without an image


@dataclass(frozen=True)
class ClassBiases:
    """``scores / T + b``: ``inverse_temperature`` is 1 / T, ``bias`` (K,) sums to 0."""

    inverse_temperature: float
    bias: Array

    def __call__(self, scores: Array) -> Array:
        return self.inverse_temperature * scores.astype(np.float64) + self.bias


def fit_class_biases(scores: Array, target: Array) -> ClassBiases:
    """The temperature and biases that maximise the mean of ``log softmax(scores / T + b)_t`` over (n, K) and (n,).

    Vector scaling with one scale (Guo et al. 2017, arXiv:1706.04599). The likelihood is concave in 1/T and b.
    """
    scores, rows, (n, num_classes) = scores.astype(np.float64), np.arange(len(target)), scores.shape
    scores = scores - scores.max(1, keepdims=True)
    size = max(float(np.abs(scores).mean()), 1e-12)  # so that both kinds of parameters are of the same size
    scores = scores / size

    def loss(parameters: Array) -> tuple[float, Array]:
        scale, bias = parameters[0], parameters[1:]
        log_p = log_softmax(scale * scores + bias, axis=1)
        slope = np.exp(log_p)
        slope[rows, target] -= 1
        gradient = np.concatenate([[(slope * scores).sum()], slope.sum(0)]) / n
        gradient[1:] += 2 * RIDGE * bias
        return float(-log_p[rows, target].mean() + RIDGE * (bias**2).sum()), gradient

    bounds = [(RANGE[0] * size, RANGE[1] * size)] + [(None, None)] * num_classes
    start = np.concatenate([[np.clip(size, *bounds[0])], np.zeros(num_classes)])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return ClassBiases(float(best[0] / size), best[1:] - best[1:].mean())
