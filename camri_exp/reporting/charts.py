"""The report's interactive charts, as plain plotly figures: ``{"data": [...], "layout": {...}}``.

plotly reads a subset of HTML in every text, so every name goes through ``html.escape``.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from camri_exp.metrics.angles import by_side
from camri_exp.reporting.collect import Run
from camri_exp.reporting.grouping import Configuration, mean
from camri_exp.reporting.selection import Protocol, TaskComparison
from camri_exp.reporting.statistics import Difference, difference, half_width
from camri_exp.reporting.tables import display
from camri_exp.reporting.threshold_baseline import mean_curve

Figure = dict[str, Any]
OPEN = 100  # plotly: a symbol's number, and 100 for its outline alone
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44bb99", "#999933", "#bbbbbb")


def charts(one: TaskComparison, protocol: Protocol, names: Mapping[str, str]) -> dict[str, Figure]:
    """All charts of a case by name; those that its runs cannot fill are left out."""
    of_loss: dict[str, list[Configuration]] = {}
    for setting in one.configurations:
        of_loss.setdefault(setting.loss, []).append(setting)
    places = enumerate([*names, *sorted({*of_loss} - {*names})])
    colours = {loss: COLOURS[place % len(COLOURS)] for place, loss in places}
    found = {
        "recall_accuracy": recall_against_accuracy(one, of_loss, colours, names),
        **{f"margin_scale_{of}": heat_maps(display(of, names), group, protocol.split) for of, group in of_loss.items()},
        "angle_variance": angle_variance(of_loss, colours, names),
    }
    return {name: figure for name, figure in found.items() if figure is not None}


def recall_against_accuracy(
    one: TaskComparison,
    of_loss: Mapping[str, Sequence[Configuration]],
    colours: Mapping[str, str],
    names: Mapping[str, str],
) -> Figure:
    """Every run faint, every setting's mean with its interval, the baseline's accuracy, and threshold curves."""
    traces = [
        trace
        for loss, settings in of_loss.items()
        for trace in (_runs(settings, colours[loss], names), _means(settings, colours[loss], names))
    ]
    for row in one.rows:
        if row.configuration and (
            curve := mean_curve(list(row.configuration.runs.values()), row.configuration.important)
        ):
            traces.append(_curve(row.method, row.label, curve, colours[row.method], names))
    if one.threshold is not None:
        traces.append(_rival(one, colours, names))
    pairs = [
        (run.accuracy("test"), run.recall("test", s.important)) for s in one.configurations for run in s.runs.values()
    ]
    if one.threshold is not None:
        pairs += [(one.threshold.accuracy[seed], one.threshold.recall[seed]) for seed in one.threshold.seeds]
    layout = _layout("Recall against accuracy (test)", "accuracy", f"recall of {one.task.classes}")
    layout["xaxis"]["range"], layout["yaxis"]["range"] = (_range(values) for values in zip(*pairs, strict=True))
    level = difference(one.baseline.accuracy).mean
    line = {"dash": "dot", "color": "#777"}
    layout["shapes"] = [{"type": "line", "x0": level, "x1": level, "yref": "paper", "y0": 0, "y1": 1, "line": line}]
    layout["annotations"] = [
        {"x": level, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False, "font": {"size": 11},
         "text": f"accuracy of {escape(display(one.baseline.method, names))}"}
    ]  # fmt: skip
    return {"data": traces, "layout": layout}


def _runs(settings: Sequence[Configuration], colour: str, names: Mapping[str, str]) -> Figure:
    pairs = [(setting, run) for setting in settings for run in setting.runs.values()]
    return {
        "type": "scatter", "mode": "markers", "showlegend": False, "legendgroup": settings[0].loss,
        "name": escape(display(settings[0].loss, names)), "marker": {"color": colour, "size": 6, "opacity": 0.3},
        "x": [run.accuracy("test") for _, run in pairs],
        "y": [run.recall("test", setting.important) for setting, run in pairs],
        "text": [_about(setting, run) for setting, run in pairs],
        "hovertemplate": "%{text}<br>recall %{y:.4f}, accuracy %{x:.4f}<extra></extra>",
    }  # fmt: skip


def _about(setting: Configuration, run: Run) -> str:
    return f"<b>{escape(setting.loss)}</b> {escape(setting.label)}, seed {run.seed}<br>{escape(str(run.folder))}"


def _means(settings: Sequence[Configuration], colour: str, names: Mapping[str, str]) -> Figure:
    recall = [difference(setting.recall("test")) for setting in settings]
    accuracy = [difference(setting.accuracy("test")) for setting in settings]
    return {
        "type": "scatter", "mode": "markers", "legendgroup": settings[0].loss,
        "name": escape(display(settings[0].loss, names)),
        "marker": {"color": colour, "size": 10, "symbol": "diamond", "line": {"width": 1, "color": "white"}},
        "x": [value.mean for value in accuracy], "y": [value.mean for value in recall],
        "error_x": _bars(accuracy, colour), "error_y": _bars(recall, colour),
        "text": [f"<b>{escape(s.loss)}</b> {escape(s.label)}<br>mean of n={len(s.runs)}" for s in settings],
        "hovertemplate": "%{text}<br>recall %{y:.4f}, accuracy %{x:.4f}<extra></extra>",
    }  # fmt: skip


def _bars(values: Sequence[Difference], colour: str) -> Figure:
    widths = [half_width(value.sd, value.n) if value.known else 0 for value in values]
    return {"type": "data", "array": widths, "color": colour, "thickness": 1, "width": 3}


def _curve(
    method: str, setting: str, curve: tuple[list[float], list[float]], colour: str, names: Mapping[str, str]
) -> Figure:
    return {
        "type": "scatter", "mode": "lines", "legendgroup": method, "showlegend": False,
        "line": {"color": colour, "width": 1.5}, "name": escape(display(method, names)), "x": curve[0], "y": curve[1],
        "text": f"threshold curve of <b>{escape(method)}</b> {escape(setting)}",
        "hovertemplate": "%{text}<br>recall %{y:.4f}, accuracy %{x:.4f}<extra></extra>",
    }  # fmt: skip


def _rival(one: TaskComparison, colours: Mapping[str, str], names: Mapping[str, str]) -> Figure:
    assert one.threshold is not None
    recall, accuracy = difference(one.threshold.recall), difference(one.threshold.accuracy)
    return {
        "type": "scatter", "mode": "markers", "name": escape(display(one.threshold.method, names)),
        "marker": {"color": colours[one.baseline.method], "size": 12, "symbol": "x"},
        "x": [accuracy.mean], "y": [recall.mean],
        "error_x": _bars([accuracy], "#777"), "error_y": _bars([recall], "#777"),
        "text": [f"<b>{escape(one.threshold.method)}</b>, bias chosen on validation<br>mean of n={recall.n}"],
        "hovertemplate": "%{text}<br>recall %{y:.4f}, accuracy %{x:.4f}<extra></extra>",
    }  # fmt: skip


def _range(values: Sequence[float]) -> list[float]:
    low, high = np.nanmin(values), np.nanmax(values)
    room = max(0.08 * (high - low), 0.005)
    return [float(low - room), float(min(high + room, 1.005))]


def heat_maps(loss: str, settings: Sequence[Configuration], split: str) -> Figure | None:
    """Mean recall and mean accuracy over margin (across) and scale (up), side by side; None without such a grid."""
    grid = {
        (s.parameters["margin"], s.parameters["scale"]): s
        for s in settings
        if all(isinstance(s.parameters.get(key), int | float) for key in ("margin", "scale"))
    }
    margins, scales = ([*sorted({pair[axis] for pair in grid})] for axis in (0, 1))
    if len(grid) < 2 or len(grid) < len(settings) or max(len(margins), len(scales)) < 2:
        return None
    layout = _layout(
        f"{loss}: margin and scale ({'validation' if split == 'val' else 'test'} means)", "margin", "scale"
    )
    layout |= {"grid": {"rows": 1, "columns": 2, "pattern": "independent", "xgap": 0.2}}
    layout["xaxis2"], layout["yaxis2"] = {"title": {"text": "margin"}, "type": "category"}, {"type": "category"}
    layout["xaxis"]["type"] = layout["yaxis"]["type"] = "category"
    layout["annotations"] = [_heading("recall", 0.19), _heading("accuracy", 0.81)]
    values = {
        "recall": [[_at(grid, m, s, split, "recall") for m in margins] for s in scales],
        "accuracy": [[_at(grid, m, s, split, "accuracy") for m in margins] for s in scales],
    }
    labels = [f"{m:g}" for m in margins], [f"{s:g}" for s in scales]
    return {
        "data": [_heat(name, z, *labels, axis) for axis, (name, z) in zip(("", "2"), values.items(), strict=True)],
        "layout": layout,
    }


def _heading(text: str, x: float) -> Figure:
    return {"text": text, "x": x, "y": 1.02, "xref": "paper", "yref": "paper", "yanchor": "bottom", "showarrow": False}


def _at(grid: Mapping[Any, Configuration], margin: float, scale: float, split: str, metric: str) -> float | None:
    setting = grid.get((margin, scale))
    return None if setting is None else round(mean(getattr(setting, metric)(split)), 4)


def _heat(name: str, z: Sequence[Sequence[float | None]], x: Sequence[str], y: Sequence[str], axis: str) -> Figure:
    return {
        "type": "heatmap", "z": z, "x": x, "y": y, "xaxis": f"x{axis}", "yaxis": f"y{axis}", "colorscale": "Viridis",
        "texttemplate": "%{z:.3f}", "showscale": False,
        "hovertemplate": f"margin %{{x}}, scale %{{y}}<br>{name} %{{z:.4f}}<extra></extra>",
    }  # fmt: skip


def angle_variance(
    of_loss: Mapping[str, Iterable[Configuration]], colours: Mapping[str, str], names: Mapping[str, str]
) -> Figure | None:
    """A class's variance of the angle to its own weight against margin: important class solid, others' mean dotted.

    Losses without a margin stand at 0: that of L2-softmax is where CAMRI's begins.
    """
    traces = []
    for loss, settings in of_loss.items():
        series: dict[Any, list[tuple[float, float, float]]] = {}
        for setting in settings:
            margin = _margin(setting.parameters)
            found = [by_side(run.angles.variance, setting.important) for run in setting.runs.values() if run.angles]
            if isinstance(margin, int | float) and found:
                series.setdefault(setting.parameters.get("scale"), []).append((margin, *np.mean(found, axis=0)))
        for symbol, (scale, points) in enumerate(series.items()):
            label = display(loss, names) + ("" if scale is None else f", scale {scale:g}")
            traces += _variance_lines(label, sorted(points), colours[loss], symbol)
    layout = _layout("Angle to the own class's weight (test)", "margin (radians)", "variance (radians²)")
    return {"data": traces, "layout": layout} if traces else None


def _margin(parameters: Mapping[str, Any]) -> Any:
    """0 where the loss has none, under whatever name; None where it has some other than one angle, as LDAM."""
    return parameters.get("margin") if any("margin" in key for key in parameters) else 0


def _variance_lines(label: str, points: Sequence[tuple[float, float, float]], colour: str, symbol: int) -> list[Figure]:
    x = [point[0] for point in points]
    return [
        {
            "type": "scatter", "mode": "lines+markers", "name": escape(f"{label}: {of}"), "x": x,
            "marker": {"symbol": symbol + shape}, "y": [point[column] for point in points],
            "line": {"color": colour, "dash": dash},
            "hovertemplate": f"{escape(label)}, {of}<br>margin %{{x}}, variance %{{y:.5f}}<extra></extra>",
        }
        for column, of, dash, shape in ((1, "important", "solid", 0), (2, "others", "dot", OPEN))
    ]  # fmt: skip


def _layout(title: str, x: str, y: str) -> Figure:
    return {
        "title": {"text": escape(title), "x": 0, "font": {"size": 15}}, "template": "none", "hovermode": "closest",
        "xaxis": {"title": {"text": escape(x)}, "gridcolor": "#eee", "zeroline": False},
        "yaxis": {"title": {"text": escape(y)}, "gridcolor": "#eee", "zeroline": False, "automargin": True},
        "margin": {"l": 60, "r": 20, "t": 60, "b": 50}, "font": {"family": "system-ui, sans-serif"},
    }  # fmt: skip
