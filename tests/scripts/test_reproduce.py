"""The reproduction: its plan, the archive of a study, and a page of results in which no number is typed by hand."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reproduce
from hypothesis import given
from hypothesis import strategies as st
from reproduction import archive, page, page_tables
from reproduction.plan import STUDIES, planned, table
from reproduction.zip_archive import RANKING, RUNS
from scipy.stats import spearmanr

from camri_exp.metrics import threshold
from camri_exp.metrics.tuned_threshold import tuned_threshold
from camri_exp.reporting import tables
from camri_exp.reporting.collect import collect
from camri_exp.reporting.conclusion import conclude
from camri_exp.reporting.selection import Protocol, compare_methods
from tests.helpers.generated_runs import write_run, write_sweep
from tests.helpers.results import result_of

ROOT = Path(__file__).resolve().parents[2]


def archive_sweep(sweep: Path, kept: Path) -> None:
    """Archive a generated sweep as a study, with another hardware and time per run than the generator writes."""
    for run in sweep.iterdir():
        result = result_of(run)
        (run / "result.json").write_text(json.dumps(result | {"hardware": "an abacus", "fit_seconds": 36.0}))
    jobs = {Path(str(k)): [f"important_class={rank}"] for k, rank in enumerate(("worst1", "median", "null") * 70)}
    archive.archive_study("gtsrb_cpu", kept, sweep, jobs, ranking_sweep=sweep)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder of an archived study of two classes."""
    for important in ((0,), (2,)):
        write_sweep(tmp_path / "sweep", important=important)
    archive_sweep(tmp_path / "sweep", tmp_path / "results" / "gtsrb_cpu")
    return tmp_path / "results" / "gtsrb_cpu"


@pytest.fixture
def archived(kept: Path) -> Iterator[Path]:
    """The folder of its unpacked runs."""
    with archive.unpacked(kept) as folder:
        yield folder / RUNS


def results_of(runs: Path, pattern: str = "*") -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(runs.glob(f"{pattern}/result.json"))]


@given(st.integers(0, 10**6), st.integers(0, 4), st.floats(-8, 8))
def test_threshold_moving_gives_the_same_for_trimmed_and_complete_scores(seed: int, k: int, bias: float) -> None:
    scores = np.random.default_rng(seed).normal(size=(50, 5)).round(1).astype(np.float32)  # with ties
    trimmed = archive.trimmed(scores, [0, k])
    np.testing.assert_array_equal(threshold.moved(trimmed, [k], bias), threshold.moved(scores, [k], bias))
    assert len(np.unique(trimmed)) <= len(np.unique(scores)) + 1
    np.testing.assert_array_equal(archive.trimmed(trimmed, [0, k]), trimmed)


def test_the_archive_gives_the_same_tables_as_the_sweep(archived: Path, tmp_path: Path) -> None:
    whole, small = (compare_methods(collect([folder]).runs, Protocol()) for folder in (tmp_path / "sweep", archived))
    text = [tables.as_csv(comparisons).splitlines() for comparisons in (small, whole)]
    # Calibration needs complete scores.
    trimmed, complete = ([line for line in lines if "calibrated" not in line] for lines in text)
    assert trimmed == complete
    assert any(comparison.threshold is not None for comparison in small)


def test_the_archive_of_a_part_serves_the_important_classes_of_the_other_jobs(tmp_path: Path) -> None:
    """The threshold can be moved for them when the study is continued from the archive."""
    sweep, kept = write_sweep(tmp_path / "sweep", important=(0,)), tmp_path / "kept"
    archive_sweep(sweep, kept)
    runs = [run for run in collect([sweep]).runs if run.loss == "ce"]
    jobs = [["important_class=worst1"], ["important_class=cat"], ["important_class=null"]]
    important = archive.important_in(jobs, runs[0], sweep)
    with archive.unpacked(kept) as archived:
        for run in runs:
            folders = run.folder, archived / RUNS / run.folder.name
            whole, small = (np.load(folder / "predictions.npz")["test_scores"] for folder in folders)
            for k in important:
                np.testing.assert_array_equal(threshold.moved(small, [k], 3.0), threshold.moved(whole, [k], 3.0))
    assert len(important) == 2


def test_a_run_that_the_study_no_longer_has_leaves_the_archive(kept: Path, archived: Path, tmp_path: Path) -> None:
    removed = sorted((tmp_path / "sweep").glob("camri+0.2*"))
    for folder in removed:
        shutil.rmtree(folder)
    archive_sweep(tmp_path / "sweep", kept)
    assert removed
    with archive.unpacked(kept) as remaining:
        names = {path.name for path in (remaining / RUNS).iterdir()}
    assert names == {path.name for path in archived.iterdir()} - {folder.name for folder in removed}


def test_archiving_again_gives_the_same_bytes(kept: Path, tmp_path: Path) -> None:
    before = (kept / archive.ARCHIVE).read_bytes()
    for path in (tmp_path / "sweep").glob("*/*"):
        os.utime(path, (0, 0))
    archive_sweep(tmp_path / "sweep", kept)
    assert (kept / archive.ARCHIVE).read_bytes() == before


def test_the_page_shows_the_tables_next_to_the_numbers_of_the_paper(kept: Path, archived: Path) -> None:
    text = page.text(kept.parent)
    comparisons = compare_methods(collect([archived]).runs, Protocol())
    for comparison in comparisons:
        for line in tables.markdown_table(*tables.details(comparison, {"camri": "CAMRI", "ce": "CE"})):
            assert line in text
    assert "36 hours" not in text
    runs = len(collect([archived]).runs)
    assert f"{runs} of 210 runs, {210 - runs} are missing" in text
    assert "an abacus" in text
    ranks = {comparison.task: {(0,): "worst1", (2,): "median"}[comparison.task.important] for comparison in comparisons}
    printed = page_tables.next_to_paper(comparisons, ranks, "gtsrb", {"camri": "CAMRI"})
    (camri,) = [line for line in printed.splitlines() if line.startswith("| CAMRI")]
    assert camri.index(".8353 (.9801)") < camri.index(".9952 (.9812)")  # the paper's, for those ranks


def test_the_page_says_which_runs_ranked_the_classes(kept: Path, tmp_path: Path) -> None:
    ranking = tmp_path / "ranking"
    for seed in (10, 11):
        write_run(ranking / f"ce+{seed}", "ce", seed, class_free=True, noise=1.5)
    jobs = {folder: [] for folder in (tmp_path / "sweep").iterdir()}
    archive.archive_study("gtsrb_cpu", kept, tmp_path / "sweep", jobs, ranking)
    results = results_of(ranking)
    recalls = {
        name: np.mean([result["test"]["recall"][name] for result in results]) for name in results[0]["class_names"]
    }
    text = page.text(kept.parent)
    assert "seeds (10, 11)" in text
    assert f"cat {recalls['cat']:.4f} (" in text
    places = sorted(recalls, key=recalls.__getitem__)
    rank = "median" if places[1] == "cat" else f"worst{places.index('cat') + 1}"
    assert f"### {rank}: cat" in text


def test_the_page_shows_mean_and_variance_of_the_angles(kept: Path, archived: Path) -> None:
    results = results_of(archived, "camri+0.2+16+*+0")
    important = [np.mean([result["angles"][key][0] for result in results]) for key in ("mean", "variance")]
    others = [np.mean([result["angles"][key][1:] for result in results]) for key in ("mean", "variance")]
    cells = [f"{value:.4f}" for pair in zip(important, others, strict=True) for value in pair]
    assert f"| CAMRI | margin=0.2, scale=16 | {' | '.join(cells)} |" in page.text(kept.parent)


def test_the_page_moves_the_threshold_of_every_method(kept: Path, tmp_path: Path) -> None:
    (comparison, _) = compare_methods(collect([tmp_path / "sweep"]).runs, Protocol())
    for result, name in ((comparison.baseline, "CE"), (comparison.methods[0], "CAMRI")):
        assert result.configuration is not None
        moved = []
        for run in result.configuration.runs.values():
            arrays = np.load(run.folder / "predictions.npz")
            val, test = ((arrays[f"{split}_scores"], arrays[f"{split}_target"]) for split in ("val", "test"))
            tuned = tuned_threshold(*val, [0])
            assert tuned is not None
            moved.append(threshold.at(*test, [0], tuned.bias))
        after = f"{np.mean([m.recall for m in moved]):.4f} ({np.mean([m.accuracy for m in moved]):.4f})".replace(
            "0.", "."
        )
        (shown,) = [
            line
            for line in page.text(kept.parent).splitlines()
            if line.startswith(f"| cat | {name} |") and line.count("|") == 6
        ]
        assert shown.split(" | ")[4] == f"{after} |"


def test_the_page_shows_what_choosing_on_test_would_have_claimed(kept: Path, archived: Path) -> None:
    configurations: dict[str, list[dict[str, Any]]] = {}
    for result in results_of(archived):
        if result["loss"] == "ce" or result["important_class_names"] == ["cat"]:
            key = result["setting"] if result["loss"] == "camri" else "ce"
            configurations.setdefault(key, []).append(result["test"])
    means = {
        key: (np.mean([test["accuracy"] for test in runs]), np.mean([test["recall"]["cat"] for test in runs]))
        for key, runs in configurations.items()
    }
    least, baseline = means.pop("ce")
    best = max(recall for accuracy, recall in means.values() if accuracy >= least)
    table = page.text(kept.parent).partition("chosen on test |")[2]
    (shown,) = [line for line in table.splitlines() if line.startswith("| cat | CAMRI |")]
    assert f" {best - baseline:+.4f} (" in shown.split("|")[4]


def digits_jobs(folder: Path) -> dict[Path, list[str]]:
    """Two jobs of a sweep on the digits, by their folders."""
    overrides = ["data=digits", "logger=none", "trainer.max_epochs=1", "trainer.accelerator=cpu", "sweep.name=restored"]
    jobs = planned([*overrides, "loss=ce,camri", "seed=1"], folder)
    assert len(jobs) == 2
    return jobs


@pytest.mark.slow
def test_a_sweep_skips_restored_runs(tmp_path: Path) -> None:
    """Although runs of an earlier version have other hashes."""
    jobs = digits_jobs(tmp_path / "sweep")
    for folder, loss in zip(jobs, ("ce", "camri"), strict=True):
        write_run(
            tmp_path / "archived" / folder.name, loss, 1, important=(8,), classes=[str(k) for k in range(10)],
            data="digits", class_free=loss == "ce",
        )  # fmt: skip
    archive.restore(tmp_path / "archived", jobs)
    before = {folder: (folder / "result.json").read_bytes() for folder in jobs}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "camri_exp.train", "-m", "data=digits", "logger=none", "trainer.max_epochs=1"),
            *("trainer.accelerator=cpu", "loss=ce,camri", "seed=1", f"hydra.sweep.dir={tmp_path / 'sweep'}"),
            "sweep.name=restored",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "2 skipped, 0 left" in done.stderr, done.stderr
    assert {folder: (folder / "result.json").read_bytes() for folder in jobs} == before


def test_a_run_of_another_important_class_is_not_restored(tmp_path: Path) -> None:
    (_, (folder, overrides)) = digits_jobs(tmp_path / "sweep").items()
    classes = [str(k) for k in range(10)]
    write_run(tmp_path / "archived" / folder.name, "camri", 1, important=(3,), classes=classes, data="digits")
    archive.restore(tmp_path / "archived", {folder: overrides})
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_can_be_planned(name: str, tmp_path: Path) -> None:
    jobs = planned([*STUDIES[name].overrides, f"sweep.name={name}", "seed=range(2)"], tmp_path)
    assert len({tuple(sorted(job)) for job in jobs.values()}) == len(jobs)
    assert {item for job in jobs.values() for item in job if item.startswith("seed=")} == {"seed=0", "seed=1"}
    assert {item for job in jobs.values() for item in job if item.startswith("loss=")} >= {"loss=ce", "loss=camri"}
    text = table(name, jobs, tmp_path, workers=2)
    assert text.startswith(f"{name}: {len(jobs)} runs")


@pytest.mark.slow
def test_the_remaining_time_is_estimated_from_archived_runs(archived: Path, tmp_path: Path) -> None:
    jobs = planned(["experiment=gtsrb_cpu_table1"], tmp_path / "sweep")
    text = table("gtsrb_cpu", jobs, archived.parent, workers=2)
    assert f"{len(jobs)} to go" in text
    assert "A run took 36 s so far: about" in text


def run_script(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / "reproduce.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


@pytest.mark.slow
def test_archived_runs_count_as_finished_where_they_are_restored(tmp_path: Path) -> None:
    done = run_script("--dataset", "gtsrb", "--budget", "cpu", "--kept", "--dry-run", cwd=tmp_path)
    assert "165 finished, 0 to go" in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_options_can_be_given_as_key_and_value(tmp_path: Path) -> None:
    done = run_script("dataset=gtsrb", "budget=cpu", "seeds=1", "dry_run=true", "kept=false", cwd=tmp_path)
    assert "0 finished, 37 to go" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dataset=gtrsb", "budget=cpu"], "no study gtrsb_cpu. Did you mean 'gtsrb_cpu'"),
        (["dataset=gtsrb", "bugdet=cpu", "budget=cpu"], "--bugdet is not known. Did you mean '--budget'"),
        (["--dataset", "gtsrb"], "expected --dataset and --budget, or --page. See --help."),
        (["--page", "--seeds", "few"], "argument --seeds: invalid int value: 'few'. See --help."),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reproduce.py", *arguments])
    with pytest.raises(SystemExit, match="1"):
        reproduce.main()
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_the_page_says_whether_validation_ranks_the_classes_as_test_does(kept: Path, archived: Path) -> None:
    (comparison, *_) = compare_methods(collect([archived]).runs, Protocol())
    text = page.agreement(comparison)
    assert comparison.baseline.configuration is not None
    runs = list(comparison.baseline.configuration.runs.values())
    val, test = (
        np.mean([list(run.metrics[split].recall.values()) for run in runs], axis=0) for split in ("val", "test")
    )
    assert f"rank correlation {spearmanr(val, test).statistic:.2f} over {len(val)} classes" in text
    names = list(runs[0].metrics["test"].recall)
    assert f"Worst on test: {tables.escape_markdown(names[int(test.argmin())])} ({test.min():.4f})" in text
    assert text in page.text(kept.parent)


def test_the_results_page_is_generated_from_the_archived_runs() -> None:
    """If this fails: python scripts/reproduce.py --page"""
    results = ROOT / "docs" / "results"
    assert list(results.glob("*/study.json")), "docs/results holds no study"
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == page.text(results)


def test_the_readme_quotes_the_conclusion_from_the_archived_runs() -> None:
    with archive.unpacked(ROOT / "docs" / "results" / "gtsrb_cpu") as archived:
        ranking_runs = collect([archived / RANKING]).runs
        comparisons = compare_methods(collect([archived / RUNS]).runs, Protocol())
    (worst,) = [comparison for comparison in comparisons if page.rank_of(comparison.task, ranking_runs) == "worst1"]
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").replace("\n> ", " ").split())
    task = next(c for c in conclude(comparisons, Protocol()) if c.important_class == list(worst.task.important))
    assert task.sentence in text
