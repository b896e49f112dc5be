"""``report.html``: a single file that opens offline, with sortable tables and interactive charts."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from camri_exp.figures.chart import Chart, HeatMapChart
from camri_exp.reporting.charts import colours_of
from camri_exp.reporting.collect import Unfinished
from camri_exp.reporting.grouping import mean
from camri_exp.reporting.long_tail import long_tail
from camri_exp.reporting.plotly_charts import PlotlyFigure, plotly_figure
from camri_exp.reporting.promises import TaskPrices
from camri_exp.reporting.promises import caption as price_caption
from camri_exp.reporting.promises import table as price_table
from camri_exp.reporting.recall_slider import RecallSlider, recall_slider
from camri_exp.reporting.selection import Protocol, TaskComparison, keeps_accuracy
from camri_exp.reporting.tables import NOTHING, caption, details, display, grid

MOST_LISTED = 50
TEXT_COLUMNS = ("", "method", "configuration")  # aligned left; all others are numbers


@dataclass(frozen=True)
class Table:
    """A table of the page; ``marks`` are CSS classes of the rows, one per row or none."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    marks: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """The part of the page on one task."""

    heading: str
    notes: Sequence[str]
    details: Table
    long_tail: Table | None
    charts: Sequence[PlotlyFigure]
    configurations: Table
    slider: RecallSlider | None = None
    promise: Table | None = None
    promise_caption: str = ""


def render(
    title: str,
    summary: Sequence[str],
    sentences: Sequence[str],
    sections: Sequence[Section],
    overview: Table,
    unfinished: Sequence[Unfinished],
    protocol: Protocol,
) -> str:
    """The whole page. ``summary`` says which runs the numbers come from; ``sentences`` are the conclusions.

    The template escapes every text, because names of classes, folders and runs come from files.
    """
    plotly = _text_of("plotly", "package_data/plotly.min.js")
    script = _text_of("camri_exp.reporting", "report.js")
    return _template().render(
        title=title,
        plotly=plotly,
        script=script,
        script_hashes=" ".join(map(_csp_hash, (plotly, script))),
        summary=summary,
        sentences=sentences,
        unfinished=unfinished,
        most_listed=MOST_LISTED,
        caption=caption(protocol),
        overview=overview,
        sections=sections,
    )


def overview(comparisons: Sequence[TaskComparison], names: Mapping[str, str]) -> Table:
    """Table 1."""
    return Table(*grid(comparisons, names))


def section(
    comparison: TaskComparison,
    charts: Mapping[str, Chart | HeatMapChart],
    protocol: Protocol,
    names: Mapping[str, str],
    prices: TaskPrices | None = None,
) -> Section:
    """The part of the page on one task, with the charts of ``camri_exp.reporting.charts``."""
    task = comparison.task
    return Section(
        heading=f"{task.classes} ({task.data}, {task.model})",
        notes=comparison.notes,
        details=Table(*details(comparison, names)),
        long_tail=None if (rare := long_tail(comparison, names)) is None else Table(*rare),
        charts=[plotly_figure(chart) for chart in charts.values()],
        configurations=_configurations(comparison, protocol, names),
        slider=recall_slider(comparison, colours_of(comparison, names), names),
        promise=None if prices is None else Table(*price_table(prices, names)),
        promise_caption="" if prices is None else price_caption(prices),
    )


def _configurations(comparison: TaskComparison, protocol: Protocol, names: Mapping[str, str]) -> Table:
    """All configurations of a task; selected ones and those below the accuracy of the baseline are marked."""
    baseline = comparison.baseline.configuration
    assert baseline is not None
    header = ["method", "configuration", "n"]
    header += ["validation recall", "validation accuracy", "test recall", "test accuracy"]
    selected = [row.configuration for row in comparison.rows]
    rows, marks = [], []
    for configuration in comparison.configurations:
        values = [mean(get(s)) for s in ("val", "test") for get in (configuration.recall, configuration.accuracy)]
        row = [display(configuration.loss, names), configuration.label, str(len(configuration.runs))]
        rows.append(row + [f"{value:.4f}" for value in values])
        if any(configuration is other for other in selected):
            marks.append("selected")
        else:
            marks.append("" if keeps_accuracy(configuration, baseline, protocol) else "below")
    return Table(header, rows, marks)


def sort_value(text: str) -> str | None:
    """What a cell is sorted by: the number that it starts with, nothing for an empty cell; None to sort by its text."""
    try:
        return str(float(text.split(" ")[0]))
    except ValueError:
        return "" if text == NOTHING else None


def _text_of(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _csp_hash(script: str) -> str:
    """The source of the Content-Security-Policy that allows this very script; the page runs no other one."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@lru_cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("camri_exp.reporting", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sort_value"] = sort_value
    environment.filters["asdict"] = asdict
    environment.globals["text_columns"] = TEXT_COLUMNS
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    return environment.get_template("report.html")
