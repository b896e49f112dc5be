"""The table of all classes in reports on data with rare classes."""

import csv
import json
from pathlib import Path

import pytest

from camri_exp.reporting.collect import collect
from camri_exp.reporting.long_tail import long_tail
from camri_exp.reporting.selection import Protocol, compare_methods
from camri_exp.reporting.write import write
from tests.helpers.generated_runs import write_run

RARE = {("ce", 0): 0.25, ("ce", 1): 0.5, ("ldam", 0): 0.75, ("ldam", 1): 0.5}


@pytest.fixture
def sweep_of_rare_classes(tmp_path: Path) -> Path:
    for (loss, seed), rare in RARE.items():
        path = write_run(tmp_path / "sweep" / f"{loss}{seed}", loss, seed, class_free=True) / "result.json"
        result = json.loads(path.read_text())
        result["test"] |= {"recall_rare": rare, "macro_recall": 0.5, "accuracy": 0.625}
        path.write_text(json.dumps(result))
    return tmp_path / "sweep"


def test_rows_are_means_over_seeds(sweep_of_rare_classes: Path) -> None:
    (comparison,) = compare_methods(collect([sweep_of_rare_classes]).runs, Protocol())
    table = long_tail(comparison, {"ce": "CE"})
    assert table is not None
    rows = {row[0]: row[2:] for row in table[1]}
    assert rows == {
        "CE": ["2", ".6250 ± .0000", ".5000 ± .0000", ".3750 ± .1768"],
        "ldam": ["2", ".6250 ± .0000", ".5000 ± .0000", ".6250 ± .1768"],
    }


def test_the_report_has_the_table_only_with_rare_classes(sweep_of_rare_classes: Path, tmp_path: Path) -> None:
    write([sweep_of_rare_classes], tmp_path / "report", Protocol(), {}, figures=False)
    table = "| .6250 ± .0000 | .5000 ± .0000 | .6250 ± .1768 |"
    assert table in (tmp_path / "report" / "table.md").read_text()
    assert "All classes on test" in (tmp_path / "report" / "report.html").read_text()
    with open(tmp_path / "report" / "runs.csv", newline="") as file:
        assert {(row["loss"], int(row["seed"])): float(row["test_recall_rare"]) for row in csv.DictReader(file)} == RARE

    write_run(tmp_path / "even" / "ce", "ce", 0)
    write([tmp_path / "even"], tmp_path / "other", Protocol(), {}, figures=False)
    for name in ("table.md", "report.html"):
        assert "All classes" not in (tmp_path / "other" / name).read_text()
