"""The files of a report: runs -> table -> decision -> pages."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from camri_exp.errors import UserError
from camri_exp.figures import style
from camri_exp.reporting import tables
from camri_exp.reporting.charts import Figure, charts
from camri_exp.reporting.collect import Collection, collect
from camri_exp.reporting.conclusion import conclude
from camri_exp.reporting.html_report import page
from camri_exp.reporting.selection import Protocol, TaskComparison, compare_methods
from camri_exp.reporting.static_charts import still

LONGEST = 60  # letters of the classes' names in a file's


def write(
    sweeps: Sequence[Path], output: Path, baseline: str, tolerance: float, protocol: str, names: Mapping[str, str]
) -> str:
    """Write ``table.{md,csv,tex}``, ``figures/*.png`` and ``report.html`` into ``output``; returns what to print."""
    rules = Protocol(baseline, tolerance, protocol)
    collection = collect(sweeps)
    judged = compare_methods(collection.runs, rules)
    verdicts = [conclude(one).sentence for one in judged]
    drawn = [charts(one, rules, names) for one in judged]
    title = f"camri_exp report: {', '.join(str(sweep) for sweep in sweeps)}"
    files = {
        "table.md": "\n".join(
            [
                *about(collection),
                "",
                tables.markdown(judged, rules, names),
                *(tables.escape_markdown(v) + "\n" for v in verdicts),
            ]
        ),
        "table.csv": tables.as_csv(judged),
        "table.tex": tables.latex(judged, rules, names),
        "report.html": page(title, about(collection), judged, drawn, collection.unfinished, rules, names),
    }
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (output / name).write_text(text, encoding="utf-8")
        _write_stills(output / "figures", judged, drawn)
    except OSError as error:
        raise UserError(f"the report cannot be written to {output}: {error.strerror}. Give output=DIR") from error
    return _printed(judged, rules, names, collection, output)


def _write_stills(folder: Path, judged: Sequence[TaskComparison], drawn: Sequence[Mapping[str, Figure]]) -> None:
    """The charts of each case as ``<number>_<classes>_<chart>.png``."""
    folder.mkdir(exist_ok=True)
    for earlier in folder.glob("[0-9]*_*.png"):  # of a report whose cases were others
        earlier.unlink()
    for place, (one, figures) in enumerate(zip(judged, drawn, strict=True), start=1):
        for name, figure in figures.items():
            file = re.sub(r"\W+", "_", f"{place}_{one.task.classes[:LONGEST]}_{name}")
            style.save(still(figure), folder / f"{file}.png")


def about(collection: Collection) -> list[str]:
    """How many runs there are, and how many there should be."""
    lines = [f"{len(collection.runs)} finished runs"]
    states = [run.state for run in collection.unfinished]
    lines += [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    if collection.repeated:
        lines.append(f"{collection.repeated} left out, being the same run as another")
    return ["; ".join(lines) + "."]


def _printed(
    judged: Sequence[TaskComparison], rules: Protocol, names: Mapping[str, str], collection: Collection, output: Path
) -> str:
    header, rows = tables.grid(judged, names)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [" ".join(about(collection)), "", tables.caption(rules), ""]
    lines += ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    lines += ["", *(f"note: {note}" for one in judged for note in one.notes), f"report: {output / 'report.html'}"]
    return "\n".join([*lines, *(conclude(one).sentence for one in judged)])
