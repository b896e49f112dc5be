"""``report.html``: one file that opens offline, with the tables sortable and the charts interactive."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template

from camri_exp.reporting.charts import Figure
from camri_exp.reporting.collect import Unfinished
from camri_exp.reporting.conclusion import conclude
from camri_exp.reporting.grouping import Configuration, mean
from camri_exp.reporting.selection import Protocol, TaskComparison
from camri_exp.reporting.tables import caption, details, display, grid

MOST_LISTED = 50


def page(
    title: str,
    about: Sequence[str],
    judged: Sequence[TaskComparison],
    charts: Sequence[Mapping[str, Figure]],
    unfinished: Sequence[Unfinished],
    protocol: Protocol,
    names: Mapping[str, str],
) -> str:
    """The whole page; ``about`` are lines on where the numbers come from, ``charts`` those of each case."""
    body = [f"<h1>{escape(title)}</h1>", *(f'<p class="about">{escape(line)}</p>' for line in about)]
    body += [f'<p class="verdict">{escape(conclude(one).sentence)}</p>' for one in judged]
    body += _unfinished(unfinished)
    body += ["<h2>All cases</h2>", f"<p>{escape(caption(protocol))}</p>", _table(*grid(judged, names))]
    for place, (one, figures) in enumerate(zip(judged, charts, strict=True)):
        drawn = [_chart(figure, f"figure-{place}-{number}") for number, figure in enumerate(figures.values())]
        body += _case(one, drawn, protocol, names)
    return _template().substitute(title=escape(title), plotly=_plotly(), body="\n".join(body))


def _case(one: TaskComparison, drawn: Sequence[str], protocol: Protocol, names: Mapping[str, str]) -> list[str]:
    case = one.task
    parts = [f"<h2>{escape(case.classes)} ({escape(case.data)}, {escape(case.model)})</h2>"]
    parts += [f'<p class="note">{escape(note)}</p>' for note in one.notes]
    parts.append(_table(*details(one, names)))
    return [*parts, *drawn, "<h3>All settings</h3>", _settings(one, protocol, names)]


def _settings(one: TaskComparison, protocol: Protocol, names: Mapping[str, str]) -> str:
    baseline = one.baseline.configuration
    assert baseline is not None
    floor = mean(baseline.accuracy(protocol.split)) - protocol.tolerance
    chosen = [row.configuration for row in one.rows]
    header = ["method", "setting", "n", "validation recall", "validation accuracy", "test recall", "test accuracy"]
    rows, marks = [], []
    for setting in one.configurations:
        values = [mean(get(split)) for split in ("val", "test") for get in (setting.recall, setting.accuracy)]
        rows.append(
            [display(setting.loss, names), setting.label, str(len(setting.runs)), *(f"{v:.4f}" for v in values)]
        )
        marks.append(_mark(setting, chosen, floor, protocol.split))
    legend = "<p>Green: the setting its method is judged by. Grey: below the baseline's accuracy.</p>"
    return legend + _table(header, rows, marks)


def _mark(setting: Configuration, chosen: Sequence[Configuration | None], floor: float, split: str) -> str:
    if any(setting is one for one in chosen):
        return "chosen"
    return "below" if mean(setting.accuracy(split)) < floor - 1e-9 else ""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], marks: Sequence[str] = ()) -> str:
    left = ["", ' class="text"']
    head = "".join(
        f'<th scope="col"{left[name == "setting"]}><button type="button">{escape(name) or "method"}</button></th>'
        for name in header
    )
    lines = [
        f'<tr class="{marks[i] if marks else ""}">' + "".join(map(_cell, row)) + "</tr>" for i, row in enumerate(rows)
    ]
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _cell(text: str) -> str:
    """A cell that starts with a number sorts by it."""
    first = text.split(" ")[0]
    try:
        return f'<td data-value="{float(first)}">{escape(text)}</td>'
    except ValueError:
        return f'<td data-value="">{escape(text)}</td>' if text == "-" else f'<td class="text">{escape(text)}</td>'


def _unfinished(runs: Sequence[Unfinished]) -> list[str]:
    if not runs:
        return []
    items = "".join(
        f"<li>{escape(str(run.folder))}: {escape(run.state)}{escape(f' ({run.reason})' if run.reason else '')}</li>"
        for run in runs[:MOST_LISTED]
    )
    rest = f"<p>… and {len(runs) - MOST_LISTED} more</p>" if len(runs) > MOST_LISTED else ""
    return [f'<details class="note"><summary>{len(runs)} runs have no result</summary><ul>{items}</ul>{rest}</details>']


def _chart(figure: Figure, name: str) -> str:
    # "<" would let a class name end the script element.
    text = json.dumps(figure, allow_nan=False, default=float).replace("<", "\\u003c")
    return f'<div class="chart" data-figure="{name}"></div><script type="application/json" id="{name}">{text}</script>'


def _plotly() -> str:
    return files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")


def _template() -> Template:
    return Template(files("camri_exp.reporting").joinpath("report.html").read_text(encoding="utf-8"))
