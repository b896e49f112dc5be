"""The tables: the paper's layout, full numbers in the CSV files, and class names that break nothing."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camri_exp.reporting import tables
from camri_exp.reporting.collect import collect
from camri_exp.reporting.selection import Protocol, TaskComparison, compare_methods
from camri_exp.reporting.statistics import difference
from tests.helpers.generated_runs import CLASSES, write_run, write_sweep

NAMES = {"camri": "CAMRI", "ce": "CE"}


@pytest.fixture
def comparisons(tmp_path: Path) -> list[TaskComparison]:
    write_sweep(tmp_path, important=(1,))
    for seed in range(3):
        write_run(tmp_path / f"bad{seed}", "bad_loss", seed, class_free=True, noise=3)  # keeps no accuracy
        write_run(tmp_path / f"other{seed}", "camri", seed, important=(2,), shift=0.5, parameters={"margin": 0.1})
    return compare_methods(collect([tmp_path]).runs, Protocol())


def test_grid_is_the_papers(comparisons: list[TaskComparison]) -> None:
    header, rows = tables.grid(comparisons, NAMES)

    assert header == ["", f"toy: {CLASSES[1]}", f"toy: {CLASSES[2]}"]
    assert [row[0] for row in rows] == ["CAMRI", "CE", "CE + calibrated threshold", "CE + threshold", "bad_loss"]
    assert rows[-1][1:] == ["-", "-"]
    row = comparisons[0].baseline
    recall, accuracy = np.mean(list(row.recall.values())), np.mean(list(row.accuracy.values()))
    assert rows[1][1] == f"{recall:.4f} ({accuracy:.4f})".replace("0.", ".")


def test_fractions() -> None:
    assert [tables.fraction(value) for value in (0.79193, 1.0, 0.0)] == [".7919", "1.0000", ".0000"]


def test_csv_has_every_number_in_full(comparisons: list[TaskComparison]) -> None:
    lines = list(csv.DictReader(io.StringIO(tables.as_csv(comparisons))))

    assert [line["method"] for line in lines[:3]] == ["ce", "ce + threshold", "ce + calibrated threshold"]
    assert [line["method"] for line in lines[3:5]] == ["bad_loss", "camri"]
    assert {line["class"] for line in lines} == {CLASSES[1], CLASSES[2]}
    chosen = next(row for row in comparisons[0].methods if row.method == "camri")
    line = lines[4]
    change = difference(chosen.recall, comparisons[0].baseline.recall)
    expected = {"recall": difference(chosen.recall).mean, "recall_sd": difference(chosen.recall).sd}
    expected |= {"recall_gain": change.mean, "recall_gain_low": change.low, "recall_gain_high": change.high}
    for name, value in expected.items():
        assert float(line[name]) == pytest.approx(value, abs=1e-6)
    assert (line["seeds"], line["n"], line["pairs"]) == ("0 1 2", "3", "3")
    assert (lines[3]["n"], lines[3]["recall"]) == ("0", "")


def test_runs_csv_has_a_line_per_run(comparisons: list[TaskComparison], tmp_path: Path) -> None:
    runs = collect([tmp_path]).runs
    lines = list(csv.DictReader(io.StringIO(tables.runs_csv(runs, comparisons))))

    assert len(lines) == len(runs) == 21
    by_folder = {line["folder"]: line for line in lines}
    for run in runs:
        line = by_folder[str(run.folder)]
        assert (line["data"], line["model"], line["loss"], line["seed"]) == ("toy", "toy_cnn", run.loss, str(run.seed))
        assert line["important_class"] == ", ".join(CLASSES[k] for k in run.important)
        assert float(line["test_accuracy"]) == run.accuracy("test")
        assert float(line["val_recall_important"]) == pytest.approx(run.recall("val", run.important))
        assert line["loss.margin"] == str(run.parameters.get("margin", ""))
        assert float(line["fit_seconds"]) == 2.5
    labels = {line["configuration"] for line in lines if line["loss"] == "camri"}
    assert labels == {"margin=0.1", *(f"margin={m}, scale={s}" for m in (0.1, 0.2) for s in (8, 16))}


@pytest.mark.parametrize(
    ("name", "cell"),
    [("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "' =1"), ("\r=1", "\\r=1")],
)
def test_csv_text_is_not_a_formula(tmp_path: Path, name: str, cell: str) -> None:
    write_run(tmp_path / "ce", "ce", 0, classes=[name, "b"])
    runs = collect([tmp_path]).runs
    comparisons = compare_methods(runs, Protocol())
    for text, column in (
        (tables.as_csv(comparisons), "class"),
        (tables.runs_csv(runs, comparisons), "important_class"),
    ):
        (line, *_) = csv.DictReader(io.StringIO(text, newline=""))
        assert line[column] == cell


def test_csv_numbers_may_be_negative_and_nan_is_empty() -> None:
    assert tables.csv_text(["a", "b", "c"], [[-0.5, float("nan"), None]]) == "a,b,c\n-0.5,,\n"


def cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line.strip())[1:-1]


def test_markdown_tables_have_equal_rows_and_no_html(comparisons: list[TaskComparison]) -> None:
    text = tables.markdown(comparisons, Protocol(), NAMES)

    assert "<" not in text.replace("&lt;", "")
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 3
    for block in blocks:
        assert len({len(cells(line)) for line in block}) == 1


def test_latex_escapes_every_letter_and_closes_what_it_opens(comparisons: list[TaskComparison]) -> None:
    text = tables.latex(comparisons, Protocol(), NAMES)

    assert r"a\textbar{}b \& c\_d" in text
    assert r"\textless{}img src=x onerror=alert(1)\textgreater{}" in text
    assert re.findall(r"\\begin{(\w+)}", text) == re.findall(r"\\end{(\w+)}", text)[::-1]
    rows = [line for line in text.splitlines() if line.endswith(r"\\")][1:]
    assert {len(re.split(r"(?<!\\)&", line)) for line in rows} == {3}
    assert r"\multicolumn{2}{c}{toy}" in text


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({}, "best validation recall among those whose validation accuracy is at least that of ce. "),
        ({"tolerance": 0.01}, "at least that of ce minus 0.01. "),
        ({"name": "paper"}, "selected on the test split, as in the paper: these numbers are too optimistic"),
    ],
)
def test_caption_says_the_rules(rules: dict[str, Any], words: str) -> None:
    assert words in tables.caption(Protocol(**rules))
