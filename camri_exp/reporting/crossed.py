"""Intervals for new images: seeds and test images are both samples (crossed random effects)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from camri_exp.metrics.intervals import LEVEL, Interval
from camri_exp.reporting.runs import Run

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class NewImages:
    """The gain with its CI for new seeds and new images, over ``units`` images, or groups where these are known.

    ``perhaps`` estimates how many groups the images come from where only validation says how large a group is.
    """

    interval: Interval
    units: int
    grouped: bool
    perhaps: int | None = None


def crossed_interval(values: Array) -> Interval:
    """The mean of ``values`` (n units, S seeds) with its 95 % CI for new units and new seeds.

    With the mean squares of a two-way table, ``v = max(MS_unit + MS_seed - MS_res, MS_seed)`` and Student's interval
    ``mean ± t sqrt(v / (n S))`` with ``v² / (MS_unit²/(n-1) + MS_seed²/(S-1) + MS_res²/((n-1)(S-1)))`` degrees of
    freedom (Obuchowski-Rockette/MRMC analysis; Hillis 2007). NaN for fewer than two units or seeds, or without spread.
    """
    n, count = values.shape
    mean = float(values.mean()) if values.size else math.nan
    if n < 2 or count < 2:
        return Interval(mean, math.nan, math.nan)
    by_unit, by_seed = values.mean(1), values.mean(0)
    unit, seed = count * by_unit.var(ddof=1), n * by_seed.var(ddof=1)
    residual = ((values - by_unit[:, None] - by_seed + mean) ** 2).sum() / ((n - 1) * (count - 1))
    variance = max(unit + seed - residual, seed)
    if not variance > 0:
        return Interval(mean, math.nan, math.nan)
    parts = unit**2 / (n - 1) + seed**2 / (count - 1) + residual**2 / ((n - 1) * (count - 1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, variance**2 / parts)) * math.sqrt(variance / (n * count))
    return Interval(mean, mean - half, mean + half)


def recall_for_new_images(runs: Sequence[Run], baseline: Sequence[Run], important: Sequence[int]) -> NewImages | None:
    """The gain in recall of ``runs`` over ``baseline``, both in the same order of the seeds, for new images.

    None where a run has no predictions, or where the runs were tested on other images.
    """
    mine, other = ([run.important_hits(important) for run in group] for group in (runs, baseline))
    known = [hits for hits in (*mine, *other) if hits is not None]
    if not known or len(known) < len(mine) + len(other) or any(not known[0].same_images(hits) for hits in known):
        return None
    target, groups, size = known[0].target, known[0].groups, known[0].group_size
    # With these weights the mean over images is the mean over the recalls of the important classes.
    weight = len(target) / (len(important) * np.bincount(target)[target])
    half = len(mine)
    pairs = zip(known[:half], known[half:], strict=True)
    values = np.stack([weight * (a.hit.astype(float) - b.hit) for a, b in pairs], axis=1)
    if groups is None:
        perhaps = None if size is None else max(round(len(target) / size), 1)
        return NewImages(crossed_interval(values), len(target), False, perhaps)
    _, member = np.unique(groups, return_inverse=True)
    totals = np.stack([np.bincount(member, weights=column) for column in values.T], axis=1)
    return NewImages(crossed_interval(totals / np.bincount(member)[:, None]), len(totals), True)
