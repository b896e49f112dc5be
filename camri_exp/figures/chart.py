"""Charts as plain data, independent of the library that draws them, and their drawing with matplotlib.

A report draws the same chart twice: with plotly in ``report.html`` (``camri_exp.reporting.plotly_charts``), and here as
a PNG. All texts are plain; each renderer escapes what its library would interpret.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from camri_exp.figures import style

# plotly's names of markers and dashes, and what matplotlib calls them.
MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "cross": "P", "x": "X", "triangle-up": "^", "triangle-down": "v",
    "triangle-left": "<", "triangle-right": ">", "star": "*",
}  # fmt: skip
DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
POINTS_PER_PIXEL = 0.6  # matplotlib's marker sizes that look like plotly's
LEGEND_WIDTH = 110  # characters of a row of the legend; every entry takes the width of the longest one
BRIGHT = 0.6  # share of a heat map's range above which dark text is easier to read

Errors = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """Points (n,), a line through them, or both; both lengths of every error bar are at least 0.

    Args:
        name: The entry of the legend.
        marker: A key of ``MARKERS``; None for a line without markers.
        size: Diameter of the markers in pixels.
        line: A key of ``DASHES``; None for points that are not connected.
        x_error: Lengths of the horizontal error bars below and above each point.
        y_error: Lengths of the vertical ones.
        in_legend: Whether the series has an entry of its own in the legend.
        group: Series of one group are shown and hidden together by the legend of an interactive chart.
        hover: What an interactive chart shows for each point: lines of text, the first one in bold. One text for all
            points of a line is enough.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    marker: str | None = None
    size: float = 8
    is_open: bool = False
    edge: str | None = None
    opacity: float = 1
    line: str | None = None
    width: float = 1.5
    x_error: Errors = ()
    y_error: Errors = ()
    in_legend: bool = True
    group: str = ""
    hover: Sequence[str] = ()


@dataclass(frozen=True)
class Axis:
    """``range`` None leaves the limits to the renderer."""

    label: str
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class ReferenceLine:
    """A vertical dotted line over the whole height."""

    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """Series over two axes; ``hover`` is a format for the values ``x`` and ``y`` of a point: ``gain {y:.4f}``."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    hover: str
    reference: ReferenceLine | None = None


@dataclass(frozen=True)
class HeatMap:
    """``values`` (rows, columns), the first row at the bottom; None where there is no value."""

    title: str
    values: Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class HeatMapChart:
    """Heat maps next to each other over the same categories, the texts ``columns`` and ``rows``."""

    title: str
    x: Axis
    y: Axis
    columns: Sequence[str]
    rows: Sequence[str]
    maps: Sequence[HeatMap]


def draw(chart: Chart | HeatMapChart) -> Figure:
    """The chart as a matplotlib figure."""
    if isinstance(chart, HeatMapChart):
        return _heat_maps(chart)
    figure = style.new(7.2, 5.4)
    axes = figure.add_subplot()
    for series in chart.series:
        _series(axes, series)
    if chart.reference is not None:
        line = chart.reference
        axes.axvline(line.x, color="#777777", linewidth=1, linestyle=":", label=escape(line.label))
    for axis, limit in ((chart.x, axes.set_xlim), (chart.y, axes.set_ylim)):
        if axis.range is not None:
            limit(axis.range)
    figure.suptitle(escape(chart.title), fontsize=11)
    axes.set(xlabel=escape(chart.x.label), ylabel=escape(chart.y.label))
    longest = max((len(text) for text in axes.get_legend_handles_labels()[1]), default=1)
    columns = min(max(LEGEND_WIDTH // (longest + 5), 1), 3)
    figure.legend(fontsize=8, loc="outside lower center", ncols=columns)
    style.grid(axes)
    return figure


def escape(text: str) -> str:
    r"""``text`` as matplotlib draws it letter by letter: a dollar sign would begin a formula.

    Names that ``style.short`` has escaped stay as they are.
    """
    return re.sub(r"(?<!\\)\$", r"\\$", text)


def _series(axes: Axes, series: Series) -> None:
    errors = [np.transpose(error) if len(error) else None for error in (series.x_error, series.y_error)]
    drawn = axes.errorbar(
        series.x, series.y, xerr=errors[0], yerr=errors[1], color=series.colour, alpha=series.opacity,
        linestyle=DASHES[series.line] if series.line else "none", linewidth=series.width,
        marker=MARKERS[series.marker] if series.marker else "none", markersize=POINTS_PER_PIXEL * series.size,
        fillstyle="none" if series.is_open else "full", elinewidth=0.8, capsize=2,
        zorder=2 if series.marker is None else 3, label=escape(series.name) if series.in_legend else None,
    )  # fmt: skip
    if series.edge is not None:  # set on the markers alone: errorbar would give this colour to the caps as well
        drawn.lines[0].set(markeredgecolor=series.edge, markeredgewidth=0.6)


def _heat_maps(chart: HeatMapChart) -> Figure:
    figure = style.new(7.2, 3.6)
    figure.suptitle(escape(chart.title), fontsize=11)
    for axes, heat_map in zip(figure.subplots(1, len(chart.maps), squeeze=False)[0], chart.maps, strict=True):
        values = np.array(heat_map.values, dtype=float)
        bright = np.nanmin(values) + BRIGHT * np.ptp(values[np.isfinite(values)])
        axes.imshow(values, origin="lower", aspect="auto", cmap="viridis")
        axes.set_xticks(range(len(chart.columns)), chart.columns)
        axes.set_yticks(range(len(chart.rows)), chart.rows)
        axes.set(title=escape(heat_map.title), xlabel=escape(chart.x.label), ylabel=escape(chart.y.label))
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = "black" if value > bright else "white"
                axes.text(column, row, f"{value:.3f}", color=colour, ha="center", va="center", fontsize=8)
    return figure
