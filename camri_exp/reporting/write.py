"""The files of a report: collect runs, compare methods, conclude, and write tables, charts and the page."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from camri_exp.errors import UserError
from camri_exp.figures import style
from camri_exp.figures.chart import Chart, HeatMapChart, draw
from camri_exp.files import atomic_write, refuse_links, require_writable
from camri_exp.reporting import html_report, tables
from camri_exp.reporting.charts import charts
from camri_exp.reporting.collect import Collection, collect
from camri_exp.reporting.conclusion import Conclusions, conclude
from camri_exp.reporting.long_tail import long_tail
from camri_exp.reporting.promises import Asked, TaskPrices, task_prices
from camri_exp.reporting.promises import caption as price_caption
from camri_exp.reporting.promises import table as price_table
from camri_exp.reporting.selection import Protocol, TaskComparison, compare_methods

LONGEST = 60  # characters of the class names in the name of a file
MOST_NAMED = 10  # damaged files
Charts = Mapping[str, Chart | HeatMapChart]


def write(
    sweeps: Sequence[Path],
    output: Path,
    protocol: Protocol,
    names: Mapping[str, str],
    figures: bool = True,
    asked: Asked | None = None,
) -> str:
    """Write the report on all runs below ``sweeps`` into the folder ``output``; returns the text to print.

    The files are ``table.{md,csv,tex}``, ``runs.csv``, ``conclusions.json``, ``report.html``, and with ``figures``
    ``figures/*.png``. ``names`` are the display names of losses, in the order of the rows. Where a recall is ``asked``
    for, the price of its promise is added.

    Raises:
        UserError: no runs to compare, ``output`` contains links, or it cannot be written.
    """
    collection = collect(sweeps)
    require_writable(output, "Give output=DIR")
    comparisons = compare_methods(collection.runs, protocol)
    conclusions = Conclusions(tasks=conclude(comparisons, protocol))
    sentences = [task.sentence for task in conclusions.tasks]
    priced = [None if asked is None else task_prices(comparison, asked) for comparison in comparisons]
    drawn = [charts(c, protocol, names, prices) for c, prices in zip(comparisons, priced, strict=True)]
    title = f"camri_exp report: {', '.join(str(sweep) for sweep in sweeps)}"
    sections = [
        html_report.section(c, made, protocol, names, prices)
        for c, made, prices in zip(comparisons, drawn, priced, strict=True)
    ]
    overview = html_report.overview(comparisons, names)
    files = {
        "table.md": _markdown(collection, comparisons, sentences, protocol, names) + _priced_markdown(priced, names),
        "table.csv": tables.as_csv(comparisons),
        "table.tex": tables.latex(comparisons, protocol, names),
        "runs.csv": tables.runs_csv(collection.runs, comparisons),
        "report.html": html_report.render(
            title, summary(collection), sentences, sections, overview, collection.unfinished, protocol
        ),
    }
    _write_files(output, files, conclusions, list(zip(comparisons, drawn, strict=True)) if figures else [])
    promised = [text for prices in priced if prices is not None for text in _promise_lines(prices, names)]
    page = f"report: {output / 'report.html'}"
    return "\n".join([*_console(collection, comparisons, protocol, names), *promised, page, *sentences])


def _write_files(
    output: Path, files: Mapping[str, str], conclusions: Conclusions, drawn: Sequence[tuple[TaskComparison, Charts]]
) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        refuse_links(output)
        for name, text in files.items():
            with atomic_write(output / name, newline="") as file:
                file.write(text)
        conclusions.write(output / "conclusions.json")
        if drawn:
            _write_figures(output / "figures", drawn)
    except OSError as error:
        raise UserError(f"the report cannot be written to {output}: {error.strerror}. Give output=DIR") from error


def summary(collection: Collection) -> list[str]:
    """How many runs are finished and how many are not, and which files are damaged."""
    parts = [f"{len(collection.runs)} finished runs"]
    states = [run.state for run in collection.unfinished]
    parts += [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    if collection.duplicates:
        parts.append(f"{collection.duplicates} left out as duplicates of other runs")
    damaged = [f"Skipped: {message}" for message in collection.damaged]
    if len(damaged) > MOST_NAMED:
        damaged[MOST_NAMED:] = [f"Skipped: {len(damaged) - MOST_NAMED} more damaged files."]
    return ["; ".join(parts) + ".", *damaged]


def _markdown(
    collection: Collection,
    comparisons: Sequence[TaskComparison],
    sentences: Sequence[str],
    protocol: Protocol,
    names: Mapping[str, str],
) -> str:
    first, *damaged = summary(collection)
    parts = [first, *map(tables.escape_markdown, damaged), tables.markdown(comparisons, protocol, names).rstrip("\n")]
    for comparison in comparisons:
        if (rare := long_tail(comparison, names)) is not None:
            title = f"### All classes on test: {tables.escape_markdown(comparison.task.data)}"
            parts += [title, "\n".join(tables.markdown_table(*rare))]
    return "\n\n".join([*parts, *map(tables.escape_markdown, sentences)]) + "\n"


def _write_figures(folder: Path, drawn: Sequence[tuple[TaskComparison, Charts]]) -> None:
    """The charts of each task as ``<number>_<classes>_<chart>.png``."""
    folder.mkdir(exist_ok=True)
    for earlier in folder.glob("[0-9]*_*.png"):  # of an earlier report, whose tasks may have been others
        earlier.unlink()
    for number, (comparison, made) in enumerate(drawn, start=1):
        for name, chart in made.items():
            stem = re.sub(r"\W+", "_", f"{number}_{comparison.task.classes[:LONGEST]}_{name}")
            style.save(draw(chart), folder / f"{stem}.png")


def _console(
    collection: Collection, comparisons: Sequence[TaskComparison], protocol: Protocol, names: Mapping[str, str]
) -> list[str]:
    """Summary, caption, Table 1 in columns, and notes."""
    lines = [*summary(collection), "", tables.caption(protocol), "", *_columns(*tables.grid(comparisons, names))]
    return [*lines, "", *(f"note: {note}" for comparison in comparisons for note in comparison.notes)]


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in columns of equal width."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in [header, *rows]]


def _promise_lines(prices: TaskPrices, names: Mapping[str, str]) -> list[str]:
    """The price of a promise for the screen."""
    return [price_caption(prices), "", *_columns(*price_table(prices, names)), ""]


def _priced_markdown(priced: Sequence[TaskPrices | None], names: Mapping[str, str]) -> str:
    """The price of a promise for ``table.md``."""
    parts = [[price_caption(p), "", *tables.markdown_table(*price_table(p, names))] for p in priced if p is not None]
    return "".join("\n" + "\n".join(part) + "\n" for part in parts)
