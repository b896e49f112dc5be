"""Recall against accuracy, with what moving the threshold reaches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from camri_exp.figures import style
from camri_exp.metrics.intervals import Interval
from camri_exp.metrics.threshold import Curve, Point


@dataclass(frozen=True)
class Model:
    """One model in the figure: its point with intervals, its threshold curve, and the point chosen on validation."""

    label: str
    accuracy: Interval
    recall: Interval
    curve: Curve | None = None
    chosen: Point | None = None


LONGEST = 45  # letters of a label up to which two stand side by side
LOOKS = (
    (style.IMPORTANT, "o", "-"),
    (style.OTHER, "s", "--"),
    (style.RIVAL, "^", ":"),
    (style.FAINT, "D", "-."),
)


def recall_against_accuracy(models: Sequence[Model], important: str, split: str = "test") -> Figure:
    """A point a model with its 95 % intervals; a line is what adding a constant to the important score gives.

    The star is the constant that was chosen on validation. Curves run on beyond the picture where accuracy is lost
    for nothing.
    """
    figure = style.new(6.4, 5.4)
    axes = figure.add_subplot()
    for model, (colour, marker, line) in zip(models, LOOKS * len(models), strict=False):
        if model.curve is not None:
            axes.plot(
                model.curve.accuracy, model.curve.recall, line, color=colour, linewidth=1.4,
                label=f"{model.label}: threshold moved",
            )  # fmt: skip
        label = model.label
        if model.chosen is not None and not model.chosen.bias:
            label += " (validation moves it by nothing)"
        elif model.chosen is not None:
            axes.plot(
                model.chosen.accuracy, model.chosen.recall, "*", color=colour, markersize=14, markeredgecolor="white",
                label=f"{model.label}: moved by {model.chosen.bias:+.3g} (validation)", zorder=4,
            )  # fmt: skip
        axes.errorbar(
            model.accuracy.value, model.recall.value, xerr=_arms(model.accuracy), yerr=_arms(model.recall), fmt=marker,
            color=colour, markersize=7, elinewidth=1, capsize=3, label=label, zorder=3,
        )  # fmt: skip
    axes.axvline(models[0].accuracy.value, color=style.FAINT, linewidth=0.8, linestyle=(0, (1, 3)))
    _frame(axes, models)
    axes.set(xlabel="accuracy", ylabel=f"recall of {important}", title=f"Recall against accuracy ({split})")
    long = max(len(text) for text in axes.get_legend_handles_labels()[1]) > LONGEST
    figure.legend(fontsize=8, loc="outside lower center", ncols=1 if long else 2)
    style.grid(axes)
    return figure


def _arms(interval: Interval) -> list[list[float]]:
    arms = [interval.value - interval.low, interval.high - interval.value]
    return [[0 if np.isnan(arm) else max(arm, 0.0)] for arm in arms]


def _frame(axes: object, models: Sequence[Model]) -> None:
    """Room for every point and interval, and for the part of the curves that anybody would choose from."""
    accuracy = [a for m in models for a in (m.accuracy.low, m.accuracy.value, m.accuracy.high) if np.isfinite(a)]
    recall = [r for m in models for r in (m.recall.low, m.recall.value, m.recall.high) if np.isfinite(r)]
    low = min(accuracy) - 0.5 * (max(accuracy) - min(accuracy))
    for curve in (m.curve for m in models if m.curve is not None):
        near = curve.accuracy >= low
        accuracy += [float(curve.accuracy.max()), max(low, float(curve.accuracy.min()))]
        recall += [float(curve.recall[near].min()), float(curve.recall[near].max())] if near.any() else []
    for values, limit in ((accuracy, "set_xlim"), (recall, "set_ylim")):
        room = 0.05 * (max(values) - min(values)) + 0.002
        getattr(axes, limit)(min(values) - room, min(max(values) + room, 1.01))
