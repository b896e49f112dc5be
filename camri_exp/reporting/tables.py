"""The paper's Table 1 as Markdown, CSV and LaTeX: a row a method, a column a case, "recall (accuracy)" in the cells."""

import csv
import io
import math
from collections.abc import Mapping, Sequence

from camri_exp.reporting.selection import MethodResult, Protocol, TaskComparison
from camri_exp.reporting.statistics import Difference, difference

NOTHING = "-"  # as in the paper: no setting keeps the baseline's accuracy
COLUMNS = (
    "data", "model", "class", "method", "setting", "seeds", "n",
    "recall", "recall_sd", "accuracy", "accuracy_sd",
    "recall_gain", "recall_gain_low", "recall_gain_high",
    "accuracy_gain", "accuracy_gain_low", "accuracy_gain_high", "pairs",
)  # fmt: skip


def caption(protocol: Protocol) -> str:
    chosen = "validation" if protocol.split == "val" else "test"
    text = (
        f"Test recall of the important class (test accuracy): means over seeds of each method's setting with the best "
        f"{chosen} recall among those whose {chosen} accuracy is at least that of {protocol.baseline}"
    )
    text += f" minus {protocol.tolerance:g}. " if protocol.tolerance else ". "
    if protocol.split == "test":
        text += "Settings were chosen on the test split, as in the paper: these numbers are too good. "
    return text + f'"{NOTHING}": no setting keeps the accuracy.'


def grid(judged: Sequence[TaskComparison], names: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of Table 1. ``names`` are the methods' display names, in the order of the rows."""
    found = [row.method for one in judged for row in one.rows]
    order = {method: place for place, method in enumerate(names)}
    methods = sorted(dict.fromkeys(found), key=lambda method: (order.get(base(method), len(order)), method))
    several = len({one.task.model for one in judged}) > 1
    header = ["", *(f"{one.task.data}{f' {one.task.model}' if several else ''}: {one.task.classes}" for one in judged)]
    cells = [[{row.method: row for row in one.rows}.get(method) for one in judged] for method in methods]
    return header, [[display(method, names), *map(cell, row)] for method, row in zip(methods, cells, strict=True)]


def base(method: str) -> str:
    return method.split(" + ")[0]


def display(method: str, names: Mapping[str, str]) -> str:
    return method.replace(base(method), names.get(base(method), base(method)), 1)


def cell(row: MethodResult | None) -> str:
    if row is None or not row.seeds:
        return NOTHING
    return f"{fraction(difference(row.recall).mean)} ({fraction(difference(row.accuracy).mean)})"


def fraction(value: float) -> str:
    """``.7919``, as the paper writes it."""
    return f"{value:.4f}".removeprefix("0")


def markdown(judged: Sequence[TaskComparison], protocol: Protocol, names: Mapping[str, str]) -> str:
    header, rows = grid(judged, names)
    lines = [f"**{caption(protocol)}**", "", *markdown_table(header, rows)]
    for one in judged:
        lines += [
            "",
            f"### {escape_markdown(one.task.classes)} ({escape_markdown(one.task.data)}, {escape_markdown(one.task.model)})",
            "",
        ]
        lines += [*markdown_table(*details(one, names)), "", *(f"- {escape_markdown(note)}" for note in one.notes)]
    return "\n".join(lines) + "\n"


def details(one: TaskComparison, names: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """All methods of one case with spread and paired differences to the baseline."""
    header = ["method", "setting", "n", "recall", "accuracy", "recall gain (95 %)", "accuracy gain (95 %)"]
    rows = []
    for row in one.rows:
        recall, accuracy = difference(row.recall), difference(row.accuracy)
        gains = [NOTHING, NOTHING] if row is one.baseline else [gain(d) for d in _gains(row, one.baseline)]
        rows.append([display(row.method, names), row.label, str(recall.n), spread(recall), spread(accuracy), *gains])
    return header, rows


def _gains(row: MethodResult, baseline: MethodResult) -> tuple[Difference, Difference]:
    return difference(row.recall, baseline.recall), difference(row.accuracy, baseline.accuracy)


def spread(sample: Difference) -> str:
    if not sample.n:
        return NOTHING
    return f"{fraction(sample.mean)} ± {fraction(sample.sd)}" if sample.n > 1 else fraction(sample.mean)


def gain(change: Difference) -> str:
    if not change.n:
        return NOTHING
    return f"{change.mean:+.4f} [{change.low:+.4f}, {change.high:+.4f}]" if change.known else f"{change.mean:+.4f}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(map(escape_markdown, line)) + " |" for line in lines]


def escape_markdown(text: str) -> str:
    """No Markdown and no HTML in a class name."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")
    return "".join(f"\\{letter}" if letter in "\\|`*_[]" else letter for letter in text)


def as_csv(judged: Sequence[TaskComparison]) -> str:
    """A line a method and case, every number in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in judged:
        for row in one.rows:
            writer.writerow(_record(one, row))
    return text.getvalue()


def _record(one: TaskComparison, row: MethodResult) -> list[object]:
    recall, accuracy, (more, cost) = difference(row.recall), difference(row.accuracy), _gains(row, one.baseline)
    numbers = [recall.mean, recall.sd, accuracy.mean, accuracy.sd]
    numbers += [more.mean, more.low, more.high, cost.mean, cost.low, cost.high]
    seeds = " ".join(map(str, row.seeds))
    written = ["" if math.isnan(number) else round(number, 6) for number in numbers]
    return [one.task.data, one.task.model, one.task.classes, row.method, row.label, seeds, recall.n, *written, more.n]


LATEX = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$",
}  # fmt: skip


def latex(judged: Sequence[TaskComparison], protocol: Protocol, names: Mapping[str, str]) -> str:
    """A booktabs table; the data sets span their columns, as in the paper."""
    _, rows = grid(judged, names)
    groups: dict[str, int] = {}
    for one in judged:
        groups[one.task.data] = groups.get(one.task.data, 0) + 1
    spans = " & ".join(rf"\multicolumn{{{count}}}{{c}}{{{_tex(data)}}}" for data, count in groups.items())
    classes = " & ".join(_tex(one.task.classes) for one in judged)
    body = [" & ".join(map(_tex, row)) + r" \\" for row in rows]
    return "\n".join([
        r"% \usepackage{booktabs}", r"\begin{table}", r"\centering", rf"\caption{{{_tex(caption(protocol))}}}",
        rf"\begin{{tabular}}{{l{'c' * len(judged)}}}", r"\toprule", rf" & {spans} \\", rf" & {classes} \\", r"\midrule",
        *body, r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def _tex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in text)
