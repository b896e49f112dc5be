"""The recall slider of a report: each method's accuracy at the recall that is asked for, and the images it misses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.metrics import threshold
from camri_exp.reporting.runs import Run
from camri_exp.reporting.selection import MethodResult, TaskComparison
from camri_exp.reporting.tables import display
from camri_exp.reporting.threshold_baseline import RECALLS, mean_curve

Array = npt.NDArray[Any]
MOST_IMAGES = 300  # of one method: those that are found last, so that the page stays small


@dataclass(frozen=True)
class MethodCurve:
    """One method: its accuracy at each of ``RECALLS``, and when each of its important test images is found.

    ``found`` maps the name of an image to the position in ``RECALLS`` from which each run finds it.
    """

    name: str
    label: str
    colour: str
    runs: int
    accuracy: list[float]
    found: dict[str, list[int]]


@dataclass(frozen=True)
class RecallSlider:
    """What the page shows for one task; ``start`` is the position of the slider: the baseline's recall."""

    recalls: list[float]
    start: int
    methods: list[MethodCurve]


def recall_slider(
    comparison: TaskComparison, colours: Mapping[str, str], names: Mapping[str, str]
) -> RecallSlider | None:
    """The slider of a task, from the threshold curves on test of the selected configurations; None without any."""
    methods = [_method(row, colours, names) for row in comparison.rows]
    known = [method for method in methods if method is not None]
    if not known:
        return None
    recall = float(np.mean(list(comparison.baseline.recall.values())))
    start = int(np.searchsorted(RECALLS, recall - 1e-9).clip(max=len(RECALLS) - 1))
    return RecallSlider(RECALLS.tolist(), start, known)


def _method(row: MethodResult, colours: Mapping[str, str], names: Mapping[str, str]) -> MethodCurve | None:
    selected = row.configuration
    runs = [] if selected is None else list(selected.runs.values())
    curve = None if selected is None else mean_curve(runs, selected.important)
    if selected is None or curve is None:
        return None
    found: dict[str, list[int]] = {}
    for run in runs:
        for name, position in _found_from(run, selected.important, curve.bias):
            found.setdefault(name, []).append(position)
    last = sorted(found, key=lambda name: (-float(np.mean(found[name])), name))[:MOST_IMAGES]
    accuracy = [round(value, 5) for value in curve.accuracy]
    kept = {name: found[name] for name in last}
    return MethodCurve(display(row.method, names), row.label, colours[row.method], len(runs), accuracy, kept)


def _found_from(run: Run, important: Sequence[int], biases: Sequence[float]) -> list[tuple[str, int]]:
    """Each important image of a run, and the first of ``biases`` with which it is found; their number where none is."""
    arrays, stored = run.predictions("test_scores", "test_target"), run.predictions("test_name")
    if arrays is None:
        return []
    scores, target = arrays
    index = np.flatnonzero(np.isin(target, list(important)))
    names = [f"image {i}" for i in index] if stored is None else [str(stored[0][i]) for i in index]
    needed = threshold.bias_to_find(scores[index], target[index], important)
    return list(zip(names, np.searchsorted(biases, needed, side="right").tolist(), strict=True))
