"""Tables of a report: the paper's Table 1 as Markdown, LaTeX and CSV, and all runs as CSV.

Table 1 has a row per method, a column per task, and "recall (accuracy)" in its cells.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence

from camri_exp.data.splits import NOUNS
from camri_exp.reporting.runs import Run
from camri_exp.reporting.selection import MethodResult, Protocol, TaskComparison
from camri_exp.reporting.statistics import Difference, difference
from camri_exp.results import SplitMetrics
from camri_exp.text import csv_cell, escape_markdown
from camri_exp.text import markdown_table as escaped_table

NOTHING = "-"  # as in the paper: no configuration keeps the baseline's accuracy
COLUMNS = (  # "setting" is the configuration: the name is older, and scripts read this file
    "data", "model", "class", "method", "setting", "seeds", "n",
    "recall", "recall_sd", "accuracy", "accuracy_sd",
    "recall_gain", "recall_gain_low", "recall_gain_high",
    "accuracy_gain", "accuracy_gain_low", "accuracy_gain_high", "pairs",
)  # fmt: skip
RUN_COLUMNS = (
    "data", "model", "loss", "seed", "important_class", "important_class_ids", "class_free", "configuration",
)  # fmt: skip
SPLIT_COLUMNS = (*SplitMetrics.LOGGED, "recall_rare")


def caption(protocol: Protocol) -> str:
    """What the numbers of Table 1 are, and how configurations were selected."""
    split = NOUNS[protocol.split]
    text = (
        "Test recall of the important class (test accuracy), means over seeds. Each method is represented by its "
        f"configuration with the best {split} recall among those whose {split} accuracy is at least that of "
        f"{protocol.baseline}"
    )
    text += f" minus {protocol.tolerance:g}. " if protocol.tolerance else ". "
    if protocol.split == "test":
        text += "Configurations were selected on the test split, as in the paper: these numbers are too optimistic. "
    return text + f'"{NOTHING}": no configuration keeps the accuracy.'


def grid(comparisons: Sequence[TaskComparison], names: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of Table 1. ``names`` are the methods' display names, in the order of the rows."""
    order = {method: index for index, method in enumerate(names)}
    methods = sorted(
        {row.method for comparison in comparisons for row in comparison.rows},
        key=lambda method: (order.get(base(method), len(order)), method),
    )
    several = len({comparison.task.model for comparison in comparisons}) > 1
    header = [""]
    for task in (comparison.task for comparison in comparisons):
        header.append(f"{task.data}{f' {task.model}' if several else ''}: {task.classes}")
    columns = [{row.method: row for row in comparison.rows} for comparison in comparisons]
    return header, [[display(m, names), *(cell(column.get(m)) for column in columns)] for m in methods]


def base(method: str) -> str:
    """The loss of a method: ``ce`` of ``ce + threshold``."""
    return method.split(" + ")[0]


def display(method: str, names: Mapping[str, str]) -> str:
    """The display name of a method: ``CE + threshold`` of ``ce + threshold``."""
    return method.replace(base(method), names.get(base(method), base(method)), 1)


def cell(result: MethodResult | None) -> str:
    """``.7919 (.9123)``: mean recall and mean accuracy."""
    if result is None or not result.seeds:
        return NOTHING
    return f"{fraction(difference(result.recall).mean)} ({fraction(difference(result.accuracy).mean)})"


def fraction(value: float) -> str:
    """``.7919``, as printed in the paper."""
    return f"{value:.4f}".removeprefix("0")


def markdown(comparisons: Sequence[TaskComparison], protocol: Protocol, names: Mapping[str, str]) -> str:
    """Table 1, and a section per task with the details of its methods and its notes."""
    lines = [f"**{caption(protocol)}**", "", *markdown_table(*grid(comparisons, names))]
    for comparison in comparisons:
        task = comparison.task
        classes, data, model = map(escape_markdown, (task.classes, task.data, task.model))
        lines += ["", f"### {classes} ({data}, {model})", "", *markdown_table(*details(comparison, names)), ""]
        lines += [f"- {escape_markdown(note)}" for note in comparison.notes]
    return "\n".join(lines) + "\n"


def details(comparison: TaskComparison, names: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: all methods of one task with spread and paired differences to the baseline."""
    header = ["method", "configuration", "n", "recall", "accuracy", "recall gain (95 % CI)", "accuracy gain (95 % CI)"]
    rows = []
    for row in comparison.rows:
        recall, accuracy = difference(row.recall), difference(row.accuracy)
        is_baseline = row is comparison.baseline
        gains = [NOTHING, NOTHING] if is_baseline else [gain(d) for d in _gains(row, comparison.baseline)]
        rows.append([display(row.method, names), row.label, str(recall.n), spread(recall), spread(accuracy), *gains])
    return header, rows


def _gains(row: MethodResult, baseline: MethodResult) -> tuple[Difference, Difference]:
    return difference(row.recall, baseline.recall), difference(row.accuracy, baseline.accuracy)


def spread(sample: Difference) -> str:
    """Mean ± standard deviation over seeds."""
    if not sample.n:
        return NOTHING
    return f"{fraction(sample.mean)} ± {fraction(sample.sd)}" if sample.n > 1 else fraction(sample.mean)


def gain(change: Difference) -> str:
    """A difference with its CI where there is one: ``+0.0210 [+0.0040, +0.0380]``."""
    if not change.n:
        return NOTHING
    return f"{change.mean:+.4f} [{change.low:+.4f}, {change.high:+.4f}]" if change.known else f"{change.mean:+.4f}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown; all cells are plain text."""
    return escaped_table([*map(escape_markdown, header)], [[*map(escape_markdown, row)] for row in rows])


def as_csv(comparisons: Sequence[TaskComparison]) -> str:
    """A line per method and task, all numbers with six digits."""
    lines = []
    for comparison in comparisons:
        task = [comparison.task.data, comparison.task.model, comparison.task.classes]
        for row in comparison.rows:
            gains, recall, accuracy = _gains(row, comparison.baseline), difference(row.recall), difference(row.accuracy)
            numbers = [recall.mean, recall.sd, accuracy.mean, accuracy.sd]
            numbers += [value for change in gains for value in (change.mean, change.low, change.high)]
            line = [*task, row.method, row.label, " ".join(map(str, row.seeds)), recall.n]
            lines.append([*line, *(round(number, 6) for number in numbers), gains[0].n])
    return csv_text(COLUMNS, lines)


def runs_csv(runs: Sequence[Run], comparisons: Sequence[TaskComparison]) -> str:
    """A line per run. ``configuration`` is its label in the tables; each parameter of a loss has its own column.

    The important class of a ``class_free`` run is the one that it was started with, which made no difference to it.
    """
    labels = {
        run.folder: configuration.label
        for comparison in comparisons
        for configuration in comparison.configurations
        for run in configuration.runs.values()
    }
    parameters = sorted({key for run in runs for key in run.parameters})
    header = [*RUN_COLUMNS, *(f"loss.{key}" for key in parameters)]
    header += [f"{split}_{name}" for split in ("val", "test") for name in SPLIT_COLUMNS]
    lines = []
    for run in runs:
        names, ids = [run.class_names[k] for k in run.important], " ".join(map(str, run.important))
        line: list[object] = [run.data, run.model, run.loss, run.seed, ", ".join(names), ids, run.class_free]
        line += [labels.get(run.folder, ""), *(run.parameters.get(key) for key in parameters)]
        line += [getattr(run.metrics[split], name) for split in ("val", "test") for name in SPLIT_COLUMNS]
        lines.append([*line, run.fit_seconds, str(run.folder)])
    return csv_text([*header, "fit_seconds", "folder"], lines)


def csv_text(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """The lines as CSV, NaN as an empty cell, a list or mapping as JSON.

    Text that a spreadsheet would evaluate as a formula begins with '.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_csv_cell(value) for value in line] for line in [header, *lines])
    return text.getvalue()


def _csv_cell(value: object) -> object:
    if isinstance(value, str):
        return csv_cell(value)
    if isinstance(value, list | dict):
        return json.dumps(value, default=str)
    return "" if isinstance(value, float) and math.isnan(value) else value


LATEX = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$",
}  # fmt: skip


def latex(comparisons: Sequence[TaskComparison], protocol: Protocol, names: Mapping[str, str]) -> str:
    """A booktabs table; the data sets span their columns, as in the paper."""
    _, rows = grid(comparisons, names)
    groups: dict[str, int] = {}
    for comparison in comparisons:
        groups[comparison.task.data] = groups.get(comparison.task.data, 0) + 1
    spans = " & ".join(rf"\multicolumn{{{count}}}{{c}}{{{_tex(data)}}}" for data, count in groups.items())
    classes = " & ".join(_tex(comparison.task.classes) for comparison in comparisons)
    body = [" & ".join(map(_tex, row)) + r" \\" for row in rows]
    return "\n".join([
        r"% \usepackage{booktabs}", r"\begin{table}", r"\centering", rf"\caption{{{_tex(caption(protocol))}}}",
        rf"\begin{{tabular}}{{l{'c' * len(comparisons)}}}", r"\toprule", rf" & {spans} \\", rf" & {classes} \\",
        r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def _tex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in text)
