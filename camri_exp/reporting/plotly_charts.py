"""Charts as plotly figures, ``{"data": [...], "layout": {...}}``, for the interactive report.

plotly reads a subset of HTML in every text, so every text of a chart goes through ``html.escape``.
"""

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from camri_exp.figures.chart import Axis, Chart, Errors, HeatMapChart, ReferenceLine, Series
from camri_exp.files import without_nan

PlotlyFigure = dict[str, Any]
NO_BOX = "<extra></extra>"  # plotly would put the trace's name in a second box


def plotly_figure(chart: Chart | HeatMapChart) -> PlotlyFigure:
    """The chart as plain values that ``Plotly.newPlot`` accepts; NaN becomes null, which plotly leaves out."""
    if isinstance(chart, HeatMapChart):
        return dict(without_nan(_heat_maps(chart)))
    layout = _layout(chart.title, chart.x, chart.y)
    if chart.reference is not None:
        layout |= _reference(chart.reference)
    return dict(without_nan({"data": [_trace(series, chart.hover) for series in chart.series], "layout": layout}))


def _trace(series: Series, hover: str) -> PlotlyFigure:
    parts = ["lines"] * (series.line is not None) + ["markers"] * (series.marker is not None)
    trace: PlotlyFigure = {
        "type": "scatter", "mode": "+".join(parts), "name": escape(series.name), "x": series.x, "y": series.y,
        "showlegend": series.in_legend,
    }  # fmt: skip
    if series.group:
        trace["legendgroup"] = escape(series.group)
    if series.line is not None:
        trace["line"] = {"color": series.colour, "width": series.width, "dash": series.line}
    if series.marker is not None:
        edge = {"line": {"width": 1, "color": series.edge}} if series.edge else {}
        symbol = series.marker + ("-open" if series.is_open else "")
        trace["marker"] = {"color": series.colour, "size": series.size, "opacity": series.opacity, "symbol": symbol}
        trace["marker"] |= edge
    for key, errors in (("error_x", series.x_error), ("error_y", series.y_error)):
        if errors:
            trace[key] = _error_bars(errors, series.colour)
    if series.hover:
        lines = [escape(text).split("\n") for text in series.hover]
        texts = ["<br>".join([f"<b>{first}</b>", *rest]) for first, *rest in lines]
        trace["text"] = texts[0] if len(texts) == 1 else texts
    text = "%{text}<br>" if series.hover else ""
    trace["hovertemplate"] = text + _template(hover) + NO_BOX
    return trace


def _template(text: str) -> str:
    """A format such as ``gain {y:.4f}`` as plotly writes it: ``gain %{y:.4f}``."""
    return re.sub(r"{(\w)", r"%{\1", escape(text))


def _error_bars(errors: Errors, colour: str) -> PlotlyFigure:
    below, above = zip(*errors, strict=True)
    sides = {"array": above} if above == below else {"array": above, "arrayminus": below, "symmetric": False}
    return {"type": "data", **sides, "color": colour, "thickness": 1, "width": 3}


def _reference(line: ReferenceLine) -> PlotlyFigure:
    """A vertical line and its label, where ``paper`` means the height of the chart."""
    shape = {"type": "line", "x0": line.x, "x1": line.x, "yref": "paper", "y0": 0, "y1": 1}
    label = {"x": line.x, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}
    return {
        "shapes": [shape | {"line": {"dash": "dot", "color": "#777"}}],
        "annotations": [label | {"text": escape(line.label)}],
    }


def _heat_maps(chart: HeatMapChart) -> PlotlyFigure:
    """Heat maps in one row, each with its own pair of axes: plotly names them x, x2, …"""
    suffixes = ["", *map(str, range(2, len(chart.maps) + 1))]
    layout = _layout(chart.title, chart.x, chart.y)
    layout["grid"] = {"rows": 1, "columns": len(chart.maps), "pattern": "independent", "xgap": 0.2}
    for suffix in suffixes:
        layout[f"xaxis{suffix}"] = {"title": {"text": escape(chart.x.label)}, "type": "category"}
        layout[f"yaxis{suffix}"] = {"type": "category"}
    layout["yaxis"] |= {"title": {"text": escape(chart.y.label)}, "automargin": True}
    layout["annotations"] = _headings([heat_map.title for heat_map in chart.maps])
    where = _template(f"{chart.x.label} {{x}}, {chart.y.label} {{y}}")
    traces = [
        {"type": "heatmap", "z": heat_map.values, "x": chart.columns, "y": chart.rows, "xaxis": f"x{suffix}",
         "yaxis": f"y{suffix}", "colorscale": "Viridis", "texttemplate": "%{z:.3f}", "showscale": False,
         "hovertemplate": f"{where}<br>{_template(heat_map.title)} %{{z:.4f}}{NO_BOX}"}
        for heat_map, suffix in zip(chart.maps, suffixes, strict=True)
    ]  # fmt: skip
    return {"data": traces, "layout": layout}


def _headings(titles: Sequence[str]) -> list[PlotlyFigure]:
    width = 1.24 / max(
        len(titles), 1
    )  # of one map with its gap, as shares of the chart: centres at .19 and .81 for two
    return [
        {"text": escape(title), "x": 0.5 + width * (number - (len(titles) - 1) / 2), "y": 1.02, "xref": "paper",
         "yref": "paper", "yanchor": "bottom", "showarrow": False}
        for number, title in enumerate(titles)
    ]  # fmt: skip


def _layout(title: str, x: Axis, y: Axis) -> PlotlyFigure:
    axes = {
        name: {"title": {"text": escape(axis.label)}, "gridcolor": "#eee", "zeroline": False}
        | ({"range": list(axis.range)} if axis.range is not None else {})
        for name, axis in (("xaxis", x), ("yaxis", y))
    }
    axes["yaxis"]["automargin"] = True
    return {
        "title": {"text": escape(title), "x": 0, "font": {"size": 15}}, "template": "none", "hovermode": "closest",
        "margin": {"l": 60, "r": 20, "t": 60, "b": 50}, "font": {"family": "system-ui, sans-serif"}, **axes,
    }  # fmt: skip
