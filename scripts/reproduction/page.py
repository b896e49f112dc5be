"""docs/results.md from docs/results: no number in it is typed by hand."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from scipy.stats import spearmanr

from camri_exp.cli import CONFIGS
from camri_exp.metrics.angles import by_side
from camri_exp.reporting import tables
from camri_exp.reporting.collect import Run, collect
from camri_exp.reporting.conclusion import conclude
from camri_exp.reporting.grouping import Configuration
from camri_exp.reporting.ranking import mean_recalls
from camri_exp.reporting.selection import MethodResult, Protocol, TaskComparison, compare_methods
from camri_exp.reporting.statistics import difference
from reproduction.keep import FIGURES

HERE = Path(__file__).resolve().parent
OPENING = """# Results

Made by `python scripts/reproduce.py page=true` from the `result.json` files in [docs/results](results); every number
here comes from there. Selection rule: of each loss's settings, the one with the best mean **validation** recall of the
important class among those whose mean validation accuracy is at least cross-entropy's; its **test** numbers are shown.
"-": no setting keeps the accuracy. Gains are paired over seeds, with Student's 95 % interval.

No number is claimed for AwA2: its pictures were not at hand. `experiment=awa2_table1` is ready for them.
"""


def write(results: Path, page: Path) -> None:
    """Write the page of all studies kept below ``results``."""
    page.write_text(text(results), encoding="utf-8")


def text(results: Path) -> str:
    names = OmegaConf.load(CONFIGS / "report.yaml").names
    studies = [path.parent for path in sorted(results.glob("*/study.json"))]
    return "\n".join([OPENING, *(section(folder, dict(names)) for folder in studies)])


def section(folder: Path, names: Mapping[str, str]) -> str:
    """One study: where it comes from, the paper's layout, each class in detail, figures, and the reading."""
    about = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    runs = collect([folder]).runs
    judged = compare_methods(runs, Protocol())
    places = {one.task: place for place, one in enumerate(judged, start=1)}
    dataset, _, budget = about["study"].partition("_")
    apart = folder.with_name(f"{folder.name}_ranking")
    ranked = collect([apart]).runs if apart.is_dir() else [run for run in runs if run.loss == "ce"]
    ranks = {one.task.important: rank_of(one, ranked) for one in judged}
    judged = sorted(judged, key=lambda one: (ranks[one.task.important] == "median", ranks[one.task.important]))
    reading = folder / "reading.md"
    parts = [
        f"## {about['study']}: {runs_of(about)}",
        f"`python scripts/reproduce.py dataset={dataset} budget={budget}`: {about['hours']} hours of training on "
        f"{', '.join(about['hardware'])}, torch {about['torch']}, commit {about['commit']}, {about['date']}.",
        *([reading.read_text(encoding="utf-8").strip()] if reading.is_file() else []),
        agreement(judged[0]),
        *([chosen_by(judged, ranked, apart.name)] if apart.is_dir() else []),
        "### In the paper's layout",
        beside_paper(judged, ranks, dataset, names),
        *(detail(one, ranks[one.task.important], names) + figures(folder, places[one.task]) for one in judged),
        "### Each method with its own threshold moved",
        with_thresholds(judged, names),
        "### Had the settings been chosen on the test split, as in the paper",
        optimism(judged, _on_test(runs, judged), names),
    ]
    return "\n\n".join(parts) + "\n"


def runs_of(about: Mapping[str, Any]) -> str:
    missing = about["planned"] - about["runs"]
    if not missing:
        return f"{about['runs']} runs"
    return f"{about['runs']} of {about['planned']} runs, {missing} still to be made"


def rank_of(one: TaskComparison, ranked: Sequence[Run]) -> str:
    """``worst1``, ``worst2``, …: the place of the case's class by the test recall of ``ranked``; or ``median``."""
    order = np.argsort(mean_recalls(ranked, "test"), kind="stable").tolist()
    place = order.index(one.task.important[0])
    return "median" if place == len(order) // 2 else f"worst{place + 1}"


def agreement(one: TaskComparison) -> str:
    """Are the classes that the baseline finds least often on validation those that it finds least often on test?"""
    assert one.baseline.configuration is not None
    runs = list(one.baseline.configuration.runs.values())
    val, test = (mean_recalls(runs, split) for split in ("val", "test"))
    worst = [
        f"{tables.escape_markdown(runs[0].class_names[k])} ({test[k]:.4f})" for k in np.argsort(test, kind="stable")[:3]
    ]
    return (
        f"Classes by {one.baseline.method}'s recall, validation against test: rank correlation "
        f"{spearmanr(val, test).statistic:.2f} over {len(val)} classes. Worst on test: {', '.join(worst)}."
    )


def chosen_by(judged: Sequence[TaskComparison], ranked: Sequence[Run], name: str) -> str:
    """Where the classes come from, and how far the runs that chose them differ from those that judge."""
    told = []
    for one in judged:
        assert one.baseline.configuration is not None
        judging = list(one.baseline.configuration.runs.values())
        ours, theirs = (np.mean([run.recall("test", one.task.important) for run in of]) for of in (judging, ranked))
        told.append(f"{tables.escape_markdown(one.task.classes)} {theirs:.4f} ({ours:.4f} with the seeds that judge)")
    seeds = ", ".join(str(run.seed) for run in sorted(ranked, key=lambda run: run.seed))
    return (
        f"The classes were ranked on test, as in the paper, by cross-entropy of other seeds ({seeds}; "
        f"[{name}](results/{name})), so that no class counts as hard by the chance of the runs that judge: "
        f"{', '.join(told)}."
    )


def beside_paper(
    judged: Sequence[TaskComparison], ranks: Mapping[tuple[int, ...], str], dataset: str, names: Mapping[str, str]
) -> str:
    """Recall (accuracy), ours and, where the paper has the data set, its printed numbers for the class of that rank."""
    with open(HERE / "paper.csv", encoding="utf-8") as file:
        printed = {
            (line["rank"], line["method"]): f"{line['recall']} ({line['accuracy']})"
            for line in csv.DictReader(file)
            if line["study"] == dataset
        }
    header, rows = tables.grid(judged, names)
    columns = [ranks[one.task.important] for one in judged]
    head = [""]
    for title, rank in zip(header[1:], columns, strict=True):
        head += [f"{rank}: {title.partition(': ')[2]}", *([f"paper, {rank}"] if printed else [])]
    methods = {tables.display(row.method, names): row.method for one in judged for row in one.rows}
    body = []
    for row in rows:
        cells = [row[0]]
        for ours, rank in zip(row[1:], columns, strict=True):
            cells += [ours, *([printed.get((rank, methods[row[0]]), tables.NOTHING)] if printed else [])]
        body.append(cells)
    return "\n".join(tables.markdown_table(head, body))


def detail(one: TaskComparison, rank: str, names: Mapping[str, str]) -> str:
    lines = [f"### {rank}: {tables.escape_markdown(one.task.classes)}", ""]
    lines += tables.markdown_table(*tables.details(one, names))
    lines += [
        "",
        tables.escape_markdown(conclude(one).sentence),
        "",
        mechanism(one, names),
        *(f"- {tables.escape_markdown(note)}" for note in one.notes),
    ]
    return "\n".join(lines)


def figures(folder: Path, place: int) -> str:
    """The report's charts of the case that it numbers ``place``."""
    found = [path for name in FIGURES for path in sorted((folder / "figures").glob(f"{place}_*_{name}.png"))]
    return "".join(
        f"\n\n![{path.stem[2:].replace('_', ' ')}](results/{folder.name}/figures/{path.name})" for path in found
    )


def mechanism(one: TaskComparison, names: Mapping[str, str]) -> str:
    """Is the paper's mechanism there: does CAMRI make the important class's angles vary less, beside L2-softmax?"""
    rows, important = [], one.task.important
    for setting in one.configurations:
        angles = [run.angles for run in setting.runs.values() if run.angles is not None]
        if angles:
            sides = [[*by_side(run["mean"], important), *by_side(run["variance"], important)] for run in angles]
            cells = [f"{value:.4f}" for value in np.mean(sides, axis=0)]
            rows.append([tables.display(setting.loss, names), setting.label, *cells])
    if not rows:
        return ""
    header = ["method", "setting", "mean angle", "others' mean angle", "variance", "others' variance"]
    text = (
        "Angle between features and their own class's weight on test, in radians: "
        f"{tables.escape_markdown(one.task.classes)}, and the mean of the other classes."
    )
    return "\n".join([text, "", *tables.markdown_table(header, rows), ""])


def _on_test(runs: Sequence[Run], judged: Sequence[TaskComparison]) -> list[TaskComparison]:
    found = {one.task: one for one in compare_methods(runs, Protocol(name="paper"))}
    return [found[one.task] for one in judged]


def with_thresholds(judged: Sequence[TaskComparison], names: Mapping[str, str]) -> str:
    """Recall (accuracy) of each chosen setting as it is, and with the threshold of each of its runs moved."""
    rows = []
    for one in judged:
        for row in (one.baseline, *one.methods):
            if row.configuration is not None:
                moved = _moved(row, row.configuration, one.task.classes)
                method = tables.display(row.method, names)
                rows.append([one.task.classes, method, row.label, tables.cell(row), tables.cell(moved)])
    text = (
        "A bias for each run, with the best validation recall that keeps the run's own validation accuracy. A margin "
        "earns its keep where it beats L2-softmax, which is CAMRI without it, with the threshold moved."
    )
    table = tables.markdown_table(["class", "method", "setting", "as trained", "threshold moved"], rows)
    return "\n".join([text, "", *table])


def _moved(row: MethodResult, chosen: Configuration, name: str) -> MethodResult:
    """The row as it is once the threshold of each of its runs is moved for the class ``name``."""
    found = {
        seed: json.loads((run.folder / "moved.json").read_text(encoding="utf-8"))[name]
        for seed, run in chosen.runs.items()
    }
    recall, accuracy = ({seed: each[key] for seed, each in found.items()} for key in ("recall", "accuracy"))
    return replace(row, recall=recall, accuracy=accuracy)


def optimism(honest: Sequence[TaskComparison], on_test: Sequence[TaskComparison], names: Mapping[str, str]) -> str:
    """What each loss's gain in recall would have been said to be."""
    rows = []
    for one, other in zip(honest, on_test, strict=True):
        claimed = {row.method: row for row in other.methods}
        for row in one.methods:
            chosen, best = _gain(row, one), _gain(claimed[row.method], other)
            rows.append([one.task.classes, tables.display(row.method, names), chosen, best])
    return "\n".join(
        tables.markdown_table(["class", "method", "gain, chosen on validation", "gain, chosen on test"], rows)
    )


def _gain(row: MethodResult, judged: TaskComparison) -> str:
    if not row.seeds:
        return tables.NOTHING
    return f"{difference(row.recall, judged.baseline.recall).mean:+.4f} ({row.label})"
