"""Recall against accuracy, with what moving the threshold reaches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from camri_exp.figures import style
from camri_exp.figures.chart import Axis, Chart, Errors, ReferenceLine, Series, draw
from camri_exp.metrics.intervals import Interval
from camri_exp.metrics.threshold import Curve, Point

HOVER = "recall {y:.4f}, accuracy {x:.4f}"
STYLES = (
    (style.IMPORTANT, "circle", "solid"),
    (style.OTHER, "square", "dash"),
    (style.NEUTRAL, "triangle-up", "dot"),
    (style.FAINT, "diamond", "dashdot"),
)


@dataclass(frozen=True)
class Model:
    """One model in the figure: its point with intervals, its threshold curve, and the point chosen on validation."""

    label: str
    accuracy: Interval
    recall: Interval
    curve: Curve | None = None
    chosen: Point | None = None


def recall_against_accuracy(models: Sequence[Model], important_names: str, split: str = "test") -> Figure:
    """A point per model with its 95 % CIs, and the curve that a constant added to the important class's score gives.

    The star is the constant that was tuned on validation. The axes leave out the ends of the curves where accuracy is
    lost without a gain. The dotted line is the accuracy of the first model.
    """
    first = models[0]
    x, y = _limits(models)
    chart = tradeoff_chart(
        [series for model, look in zip(models, STYLES * len(models), strict=False) for series in _series(model, *look)],
        important_names,
        split,
        ReferenceLine(first.accuracy.value, f"accuracy of {first.label}"),
        limits=(x, y),
    )
    return draw(chart)


def tradeoff_chart(
    series: Sequence[Series],
    important_names: str,
    split: str,
    reference: ReferenceLine,
    limits: tuple[tuple[float, float], tuple[float, float]],
) -> Chart:
    """Series of (accuracy, recall) on one split; ``limits`` are those of accuracy and of recall."""
    x, y = Axis("accuracy", limits[0]), Axis(f"recall of {important_names}", limits[1])
    return Chart(f"Recall against accuracy ({split})", x, y, series, HOVER, reference)


def error_bars(intervals: Iterable[Interval]) -> Errors:
    """Distances from the values to both ends of their intervals; 0 where an end is not known."""
    ends = ((i.value - i.low, i.high - i.value) for i in intervals)
    return [(max(float(np.nan_to_num(below)), 0.0), max(float(np.nan_to_num(above)), 0.0)) for below, above in ends]


def _series(model: Model, colour: str, marker: str, line: str) -> list[Series]:
    """Threshold curve, tuned point and the model's own point, as far as they exist."""
    series, name = [], model.label
    if model.curve is not None:
        x, y = model.curve.accuracy.tolist(), model.curve.recall.tolist()
        series.append(Series(f"{name}: threshold moved", x, y, colour, line=line))
    if model.chosen is not None and model.chosen.bias:
        tuned = f"{name}: bias {model.chosen.bias:+.3g} (tuned on validation)"
        point = [model.chosen.accuracy], [model.chosen.recall]
        series.append(Series(tuned, *point, colour, marker="star", size=22, edge="white"))
    elif model.chosen is not None:
        name += " (tuned bias is 0)"
    errors = error_bars([model.accuracy]), error_bars([model.recall])
    point = [model.accuracy.value], [model.recall.value]
    series.append(Series(name, *point, colour, marker=marker, size=12, x_error=errors[0], y_error=errors[1]))
    return series


def _limits(models: Sequence[Model]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of accuracy and recall: every point and interval, and the part of the curves that is worth choosing."""
    accuracy = [a for m in models for a in (m.accuracy.low, m.accuracy.value, m.accuracy.high) if np.isfinite(a)]
    recall = [r for m in models for r in (m.recall.low, m.recall.value, m.recall.high) if np.isfinite(r)]
    low = min(accuracy) - 0.5 * (max(accuracy) - min(accuracy))
    for curve in (m.curve for m in models if m.curve is not None):
        near = curve.accuracy >= low
        accuracy += [float(curve.accuracy.max()), max(low, float(curve.accuracy.min()))]
        recall += [float(curve.recall[near].min()), float(curve.recall[near].max())] if near.any() else []
    x, y = (padded(values, share=0.05, least=0.002) for values in (accuracy, recall))
    return x, y


def padded(values: Sequence[float], share: float, least: float) -> tuple[float, float]:
    """Limits of an axis around ``values``, NaN left out, wider by ``share`` of their range; little above 1 is shown."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = max(share * (high - low), least)
    return low - margin, min(high + margin, 1.01)
