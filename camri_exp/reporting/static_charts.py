"""The report's charts as PNGs: a plain drawing of the plotly figures that ``charts`` makes, so that both show the same.

It knows what those use: scatter traces with error bars, heat maps side by side, and a vertical line.
"""

from html import unescape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from camri_exp.figures import style
from camri_exp.reporting.charts import OPEN
from camri_exp.reporting.charts import Figure as Chart

MARKS = ("o", "s", "D", "P", "X", "^", "v", "<", ">", "*")  # in plotly's order of its numbers
SYMBOLS: dict[str | int, str] = {"diamond": "D", "x": "X", **dict(enumerate(MARKS))}
DASHES = {"dot": ":", "solid": "-"}


def still(chart: Chart) -> Figure:
    """One chart as a matplotlib figure."""
    maps = [trace for trace in chart["data"] if trace["type"] == "heatmap"]
    figure = style.new(7.2, 3.6 if maps else 5.4)
    figure.suptitle(plain(chart["layout"]["title"]["text"]), fontsize=11)
    if maps:
        headings = chart["layout"]["annotations"]
        for axes, trace, heading in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps, headings, strict=True):
            _heat(axes, trace)
            axes.set(title=heading["text"], xlabel="margin", ylabel="scale")
        return figure
    axes = figure.add_subplot()
    for trace in chart["data"]:
        _scatter(axes, trace)
    _frame(axes, chart["layout"])
    figure.legend(fontsize=8, loc="outside lower center", ncols=3)
    return figure


def plain(text: str) -> str:
    """The letters behind plotly's HTML; a dollar sign would begin a formula."""
    return unescape(text).replace("$", r"\$")


def _scatter(axes: Axes, trace: Chart) -> None:
    line, marker = trace.get("line", {}), trace.get("marker", {})
    markers, symbol = "markers" in trace["mode"], marker.get("symbol", 0)
    outline = isinstance(symbol, int) and symbol >= OPEN
    axes.errorbar(
        trace["x"], trace["y"], xerr=trace.get("error_x", {}).get("array"), yerr=trace.get("error_y", {}).get("array"),
        color=line.get("color", marker.get("color")), alpha=marker.get("opacity", 1), elinewidth=0.8, capsize=2,
        linestyle=DASHES[line.get("dash", "solid")] if "lines" in trace["mode"] else "none", linewidth=1.2,
        marker=SYMBOLS[symbol - OPEN if outline else symbol] if markers else "none",
        markersize=0.6 * marker.get("size", 8), fillstyle="none" if outline else "full",
        label=plain(trace["name"]) if trace.get("showlegend", True) else None,
    )  # fmt: skip


def _frame(axes: Axes, layout: Chart) -> None:
    for shape, note in zip(layout.get("shapes", ()), layout.get("annotations", ()), strict=True):
        axes.axvline(shape["x0"], color=shape["line"]["color"], linewidth=1, linestyle=":", label=plain(note["text"]))
    for name, limit in (("xaxis", axes.set_xlim), ("yaxis", axes.set_ylim)):
        if "range" in layout[name]:
            limit(layout[name]["range"])
    axes.set(xlabel=plain(layout["xaxis"]["title"]["text"]), ylabel=plain(layout["yaxis"]["title"]["text"]))
    style.grid(axes)


def _heat(axes: Axes, trace: Chart) -> None:
    values = np.array(trace["z"], dtype=float)
    bright = np.nanmin(values) + 0.6 * np.ptp(values[np.isfinite(values)])
    axes.imshow(values, origin="lower", aspect="auto", cmap=trace["colorscale"].lower())
    axes.set_xticks(range(len(trace["x"])), trace["x"])
    axes.set_yticks(range(len(trace["y"])), trace["y"])
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "black" if value > bright else "white"
            axes.text(column, row, f"{value:.3f}", color=colour, ha="center", va="center", fontsize=8)
