"""``python -m camri_exp.report``: its files, what it prints, and errors in one line."""

from pathlib import Path

import pytest

from camri_exp.report import folders
from camri_exp.reporting.conclusion import Conclusions
from tests.conftest import Command
from tests.helpers.generated_runs import write_sweep


def test_report_of_a_sweep(command: Command, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep")
    (sweep / "jobs.json").write_text('["never"]')

    finished = command("report", f"sweep={sweep}")

    assert finished.code == 0, finished.err
    assert sorted(path.name for path in (sweep / "report").iterdir()) == [
        "conclusions.json",
        "figures",
        "report.html",
        "runs.csv",
        "table.csv",
        "table.md",
        "table.tex",
    ]
    assert sorted(path.name for path in (sweep / "report" / "figures").iterdir()) == [
        "1_cat_angle_variance.png",
        "1_cat_margin_scale_camri.png",
        "1_cat_recall_accuracy.png",
    ]
    assert "15 finished runs; 1 not started." in finished.out
    assert "CAMRI" in finished.out
    assert finished.out.splitlines()[-1].startswith("For cat of toy: ")
    table = (sweep / "report" / "table.md").read_text().splitlines()
    assert table[0] == "15 finished runs; 1 not started."
    assert any(
        line.startswith("- Rank by mean validation recall of ce among 3 classes, worst first: cat is ")
        for line in table
    )
    assert table[-1].startswith("For cat of toy: ")
    (conclusion,) = Conclusions.read(sweep / "report" / "conclusions.json").tasks
    assert conclusion.sentence == finished.out.splitlines()[-1]
    assert len((sweep / "report" / "runs.csv").read_text().splitlines()) == 1 + 15


def test_figures_are_optional(command: Command, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep", range(2))
    assert command("report", f"sweep={sweep}", "figures=false").code == 0
    assert not (sweep / "report" / "figures").exists()
    assert (sweep / "report" / "report.html").read_text(encoding="utf-8").count('class="chart"') == 3


def test_damaged_files_are_skipped_and_named(command: Command, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep", range(2))
    (sweep / "jobs.json").write_text("{")
    (sweep / "ce+0" / "result.json").write_text('{"schema": 1')

    finished = command("report", f"sweep={sweep}", "figures=false")

    assert finished.code == 0
    lines = finished.out.splitlines()
    assert lines[0] == "9 finished runs; 1 damaged."
    assert lines[1].startswith(f"Skipped: {sweep / 'jobs.json'} is damaged")
    assert lines[2].startswith(f"Skipped: {sweep / 'ce+0' / 'result.json'} is damaged")
    page = (sweep / "report" / "report.html").read_text(encoding="utf-8")
    assert f"Skipped: {sweep / 'jobs.json'} is damaged" in page


def test_a_report_again_reads_the_same_runs(command: Command, tmp_path: Path) -> None:
    """The report is in the sweep's folder, and is not one of its runs."""
    sweep = write_sweep(tmp_path / "sweep", range(2))
    first = command("report", f"sweep={sweep}").out
    figures = sweep / "report" / "figures"
    (figures / "1_dog_recall_accuracy.png").touch()  # of another task, in an earlier report

    assert command("report", f"sweep={sweep}").out == first
    assert {path.name.split("_")[1] for path in figures.iterdir()} == {"cat"}


def test_several_sweeps_and_names_with_commas_and_equals_signs(command: Command, tmp_path: Path) -> None:
    first, second = write_sweep(tmp_path / "a,b=c", range(2)), write_sweep(tmp_path / "other", range(2, 4))

    assert "10 finished runs" in command("report", f"sweep={first}").out
    assert "10 finished runs" in command("report", f"sweep={second}", f"output={tmp_path / 'x=y'}").out
    assert (tmp_path / "x=y" / "report.html").is_file()
    assert folders(f"{tmp_path / 'other'},{tmp_path}") == [second, tmp_path]
    assert folders(str(first)) == [first]
    both = command("report", f"sweep={second},{second}", "protocol=paper", "tolerance=0.1")
    assert "10 finished runs" in both.out
    assert "selected on the test split" in both.out


def test_damaged_predictions_are_named_and_skipped(command: Command, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep", range(2))
    path = next(sweep.glob("*ce*/predictions.npz"))
    path.write_bytes(path.read_bytes()[:-40])
    finished = command("report", f"sweep={sweep}")
    assert finished.code == 0
    assert finished.err == ""
    assert finished.out.count(f"Skipped: {path} was refused: it is damaged") == 1


def test_figures_are_not_written_through_a_link(command: Command, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep", range(2))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1_mine.png").touch()
    (sweep / "report").mkdir()
    (sweep / "report" / "figures").symlink_to(tmp_path / "elsewhere")

    finished = command("report", f"sweep={sweep}")

    assert finished.code == 1
    assert "is a link" in finished.err
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["1_mine.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sweep=nowhere"], "sweep=nowhere: there is no such folder"),
        (["sweep=sweep", "baseline=camry"], "Did you mean 'camri'?"),
        (["sweep=sweep", "protocol=best"], "expected one of validation, paper"),
        (["sweep=sweep", "output=sweep/jobs.json"], "sweep/jobs.json cannot be written: File exists. Give output=DIR"),
        ([], "sweep is required"),
    ],
)
def test_errors_are_one_line(command: Command, tmp_path: Path, arguments: list[str], words: str) -> None:
    write_sweep(tmp_path / "sweep", range(1))
    (tmp_path / "sweep" / "jobs.json").write_text("[]")

    finished = command("report", *arguments)

    assert finished.code == 1
    assert words in finished.err
    assert "Traceback" not in finished.err
    assert len(finished.err.strip().splitlines()) <= 2


def test_the_price_of_a_promise_is_in_every_output(command, tmp_path):
    write_sweep(tmp_path / "sweep")
    finished = command("report", "sweep=sweep", "recall=0.6", "confidence=0.9", "figures=false")
    assert finished.code == 0, finished.err
    text = "at the threshold at which a recall of 60 % is estimated, not promised, with 90 % confidence"
    assert text in finished.out
    assert text in (tmp_path / "sweep" / "report" / "table.md").read_text()
    page = (tmp_path / "sweep" / "report" / "report.html").read_text()
    assert text in page
    assert "The price of a estimated recall" not in page
    wrong = command("report", "sweep=sweep", "recall=60")
    assert wrong.code == 1
    assert "recall=60: expected a number above 0 and below 1" in wrong.err
