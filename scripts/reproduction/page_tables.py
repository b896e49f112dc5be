"""The tables of one study on docs/results.md, and the sentences that belong to them."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from camri_exp.metrics.angles import by_side
from camri_exp.reporting import tables
from camri_exp.reporting.conclusion import TaskConclusion
from camri_exp.reporting.grouping import Configuration
from camri_exp.reporting.selection import MethodResult, TaskComparison
from camri_exp.reporting.statistics import difference
from camri_exp.reporting.tasks import Task
from reproduction.zip_archive import MOVED

PAPER = Path(__file__).with_name("paper.csv")
Names = Mapping[str, str]  # the display names of methods
Ranks = Mapping[Task, str]  # worst1, worst2, median


def next_to_paper(comparisons: Sequence[TaskComparison], ranks: Ranks, dataset: str, names: Names) -> str:
    """Recall (accuracy), next to the printed numbers of the paper for the class of that rank where it has any."""
    with open(PAPER, encoding="utf-8") as file:
        printed = {
            (line["rank"], line["method"]): f"{line['recall']} ({line['accuracy']})"
            for line in csv.DictReader(file)
            if line["study"] == dataset
        }
    _, rows = tables.grid(comparisons, names)
    columns = [ranks[comparison.task] for comparison in comparisons]
    header = [""]
    for comparison, rank in zip(comparisons, columns, strict=True):
        header += [f"{rank}: {comparison.task.classes}", *([f"paper, {rank}"] if printed else [])]
    methods = {tables.display(row.method, names): row.method for comparison in comparisons for row in comparison.rows}
    body = []
    for method, *ours in rows:
        cells = [method]
        for cell, rank in zip(ours, columns, strict=True):
            cells += [cell, *([printed.get((rank, methods[method]), tables.NOTHING)] if printed else [])]
        body.append(cells)
    return "\n".join(tables.markdown_table(header, body))


def details(comparison: TaskComparison, conclusion: TaskConclusion, rank: str, names: Names) -> str:
    """The table of one class, the conclusion, the angles and the notes."""
    lines = [
        f"### {rank}: {tables.escape_markdown(comparison.task.classes)}",
        "",
        *tables.markdown_table(*tables.details(comparison, names)),
        "",
        tables.escape_markdown(conclusion.sentence),
        "",
        angles(comparison, names),
        *(f"- {tables.escape_markdown(note)}" for note in comparison.notes),
    ]
    return "\n".join(lines)


def angles(comparison: TaskComparison, names: Names) -> str:
    """Mean and variance of the angles, by which the mechanism of the paper can be compared with L2-softmax."""
    rows, important = [], comparison.task.important
    for configuration in comparison.configurations:
        statistics = [run.angles for run in configuration.runs.values() if run.angles is not None]
        if statistics:
            sides = [[*by_side(of.mean, important), *by_side(of.variance, important)] for of in statistics]
            cells = [f"{value:.4f}" for value in np.mean(sides, axis=0)]
            rows.append([tables.display(configuration.loss, names), configuration.label, *cells])
    if not rows:
        return ""
    header = ["method", "configuration", "mean angle", "others' mean angle", "variance", "others' variance"]
    caption = (
        "Angle between features and the weight of their own class on test, in radians: "
        f"{tables.escape_markdown(comparison.task.classes)}, and the mean over the other classes."
    )
    return "\n".join([caption, "", *tables.markdown_table(header, rows), ""])


def moved_thresholds(comparisons: Sequence[TaskComparison], names: Names) -> str:
    """Recall (accuracy) of each chosen configuration as trained, and with the threshold of each of its runs moved."""
    rows = []
    for comparison in comparisons:
        name = comparison.task.classes
        for result in (comparison.baseline, *comparison.methods):
            if result.configuration is not None:
                moved = _moved(result, result.configuration, name)
                method = tables.display(result.method, names)
                rows.append([name, method, result.label, tables.cell(result), tables.cell(moved)])
    caption = (
        "The bias of each run is chosen on validation. Those of cross-entropy's row in the tables above are shown to "
        "keep the accuracy to within the margin of the report; those of archived runs were chosen by an earlier rule, "
        "the best validation recall that loses no validation accuracy. A margin is worth using where it is better than "
        "L2-softmax, which is CAMRI without a margin, with a moved threshold."
    )
    header = ["class", "method", "configuration", "as trained", "threshold moved"]
    return "\n".join([caption, "", *tables.markdown_table(header, rows)])


def _moved(result: MethodResult, configuration: Configuration, name: str) -> MethodResult:
    """``result`` with the threshold of each of its runs moved for the class ``name``."""
    moved = {
        seed: json.loads((run.folder / MOVED).read_text(encoding="utf-8"))[name]
        for seed, run in configuration.runs.items()
    }
    recall, accuracy = ({seed: values[key] for seed, values in moved.items()} for key in ("recall", "accuracy"))
    return replace(result, recall=recall, accuracy=accuracy)


def optimism(honest: Sequence[TaskComparison], on_test: Sequence[TaskComparison], names: Names) -> str:
    """The gain in recall that each loss would claim if its configuration were chosen on test."""
    by_task = {comparison.task: comparison for comparison in on_test}
    rows = []
    for comparison in honest:
        other = by_task[comparison.task]
        claimed = {result.method: result for result in other.methods}
        for result in comparison.methods:
            gains = _gain(result, comparison), _gain(claimed[result.method], other)
            rows.append([comparison.task.classes, tables.display(result.method, names), *gains])
    header = ["class", "method", "gain, chosen on validation", "gain, chosen on test"]
    return "\n".join(tables.markdown_table(header, rows))


def _gain(result: MethodResult, comparison: TaskComparison) -> str:
    if not result.seeds:
        return tables.NOTHING
    return f"{difference(result.recall, comparison.baseline.recall).mean:+.4f} ({result.label})"
