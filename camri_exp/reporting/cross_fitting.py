"""Selection and judgement apart: each run is judged by a choice that the other seeds made.

The noise of a run is common to validation and test. A configuration that is selected because its runs were lucky is
lucky on test too, so that its gain is too large on average. Therefore, for each seed, loss and configuration are
selected by the validation results of the other seeds alone, and the gain of that choice is read from the runs of this
seed (cross-validation of a choice: Stone 1974; Varma & Simon 2006). The mean of these gains has no bias, and no run has
to be trained for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.reporting.grouping import Configuration
from camri_exp.reporting.selection import ROUNDING, Protocol, TaskComparison, seeds_needed_of

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class CrossFit:
    """What the choice of loss and configuration gains over the baseline, by seed.

    ``chosen`` is the configuration that the other seeds select; it is the baseline itself where none keeps the accuracy
    of the baseline, and both changes are then 0. All are empty where there are fewer than two common seeds.
    """

    chosen: dict[int, Configuration]
    recall: dict[int, float]
    accuracy: dict[int, float]


def cross_fit(comparison: TaskComparison, protocol: Protocol) -> CrossFit:
    """The gains of the selection over seeds that the baseline and all candidates have; see the module."""
    baseline = comparison.baseline.configuration
    assert baseline is not None
    candidates, seeds = with_common_seeds(comparison.candidates, baseline)
    if not candidates or len(seeds) < 2:
        return CrossFit({}, {}, {})
    everyone = [baseline, *candidates]
    recall = _table([c.recall(protocol.split) for c in everyone], seeds)
    accuracy = _table([c.accuracy(protocol.split) for c in everyone], seeds)
    index = chosen_by_others(recall, accuracy, protocol.tolerance)
    chosen = {seed: everyone[k] for seed, k in zip(seeds, index, strict=True)}
    return CrossFit(
        chosen,
        {seed: c.recall("test")[seed] - baseline.recall("test")[seed] for seed, c in chosen.items()},
        {seed: c.accuracy("test")[seed] - baseline.accuracy("test")[seed] for seed, c in chosen.items()},
    )


def with_common_seeds(
    candidates: Sequence[Configuration], baseline: Configuration
) -> tuple[list[Configuration], list[int]]:
    """The candidates that can be compared, and the seeds that all of them and the baseline have.

    While fewer than half of the baseline's seeds are common, the candidates with the fewest seeds are left out.
    """
    kept = list(candidates)
    while kept:
        common = set(baseline.runs).intersection(*(c.runs for c in kept))
        if len(common) >= seeds_needed_of(baseline):
            return kept, sorted(common)
        overlaps = [len(c.runs.keys() & baseline.runs.keys()) for c in kept]
        if min(overlaps) == len(baseline.runs):
            break
        kept.pop(max(k for k, overlap in enumerate(overlaps) if overlap == min(overlaps)))
    return kept, []


def chosen_by_others(recall: Array, accuracy: Array, tolerance: float) -> Array:
    """The row (S,) that the seeds other than each of S select, from validation results (C, S); row 0 is the baseline.

    A row is selected by its mean recall, then by its mean accuracy, among those whose mean accuracy is at least that of
    row 0 minus ``tolerance``; row 0 itself is selected only where no other row qualifies.
    """
    others = recall.shape[1] - 1
    mean_recall, mean_accuracy = ((table.sum(1, keepdims=True) - table) / others for table in (recall, accuracy))
    allowed = mean_accuracy >= mean_accuracy[0] - tolerance - ROUNDING
    allowed[0] = False
    key = np.where(allowed, mean_recall.round(9), -np.inf)
    best = key == key.max(0)
    chosen = np.where(best & allowed, mean_accuracy, -np.inf).argmax(0)
    return np.where(allowed.any(0), chosen, 0)


def _table(by_seed: Sequence[dict[int, float]], seeds: Sequence[int]) -> Array:
    return np.array([[values[seed] for seed in seeds] for values in by_seed])
