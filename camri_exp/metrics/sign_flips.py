"""A permutation test for the difference of two models on images that come in groups."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
EXACT = 12  # groups whose signs are flipped in every way
FLIPS = 10_000


def sign_flips(differences: Array, groups: Array, seed: int = 0) -> float:
    """The two-sided p-value that the sum of ``differences`` (n,) is as far from 0 if groups change sign at random.

    Two equal models are equally likely to lead in each group. All signs are tried for up to ``EXACT`` groups, otherwise
    ``FLIPS`` random ones.
    """
    _, member = np.unique(groups, return_inverse=True)
    totals = np.bincount(member, weights=differences)
    totals = totals[totals != 0]
    if not len(totals):
        return 1.0
    observed = abs(totals.sum()) - 1e-9
    if len(totals) <= EXACT:
        signs = 1 - 2 * ((np.arange(2 ** len(totals))[:, None] >> np.arange(len(totals))) & 1)
        return float((np.abs(signs @ totals) >= observed).mean())
    signs = np.random.default_rng(seed).choice([-1, 1], (FLIPS, len(totals)))
    return float((1 + (np.abs(signs @ totals) >= observed).sum()) / (1 + FLIPS))
