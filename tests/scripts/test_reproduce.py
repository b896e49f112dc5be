"""The reproduction: its plan, what it keeps of a study, and a results page in which no number is typed by hand."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reproduction import keep, page
from reproduction.plan import STUDIES, planned, table
from scipy.stats import spearmanr

from camri_exp.metrics import threshold
from camri_exp.reporting import tables
from camri_exp.reporting.collect import collect
from camri_exp.reporting.conclusion import conclude
from camri_exp.reporting.selection import Protocol, compare_methods
from tests.helpers.generated_runs import write_run, write_sweep

ROOT = Path(__file__).resolve().parents[2]


def kept_of(sweep: Path, kept: Path) -> None:
    """Keep a generated sweep as a study, once its runs say what they ran on and how long."""
    for run in sweep.iterdir():
        result = json.loads((run / "result.json").read_text())
        (run / "result.json").write_text(json.dumps(result | {"hardware": "an abacus", "fit_seconds": 36.0}))
    jobs = {Path(str(k)): [f"important_class={rank}"] for k, rank in enumerate(("worst1", "median", "null") * 70)}
    keep.keep(sweep, kept, "gtsrb_cpu", jobs, ranking=sweep)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A study of two classes, as it is kept."""
    for important in ((0,), (2,)):
        write_sweep(tmp_path / "sweep", important=important)
    kept_of(tmp_path / "sweep", tmp_path / "results" / "gtsrb_cpu")
    return tmp_path / "results" / "gtsrb_cpu"


@given(st.integers(0, 10**6), st.integers(0, 4), st.floats(-8, 8))
def test_threshold_moving_cannot_tell_trimmed_scores_from_whole_ones(seed: int, k: int, bias: float) -> None:
    scores = np.random.default_rng(seed).normal(size=(50, 5)).round(1).astype(np.float32)  # with ties
    trimmed = keep.trimmed(scores, [0, k])
    np.testing.assert_array_equal(threshold.moved(trimmed, [k], bias), threshold.moved(scores, [k], bias))
    assert len(np.unique(trimmed)) <= len(np.unique(scores)) + 1


def test_what_is_kept_gives_the_same_tables_as_the_sweep(kept: Path, tmp_path: Path) -> None:
    whole, small = (compare_methods(collect([folder]).runs, Protocol()) for folder in (tmp_path / "sweep", kept))
    assert tables.as_csv(small) == tables.as_csv(whole)
    assert any(one.threshold is not None for one in small)


def test_what_is_kept_of_a_part_serves_the_classes_still_to_be_asked_for(tmp_path: Path) -> None:
    """Whose threshold is moved once the study has gone on from what was kept."""
    sweep, kept = write_sweep(tmp_path / "sweep", important=(0,)), tmp_path / "kept"
    kept_of(sweep, kept)
    runs = [run for run in collect([sweep]).runs if run.loss == "ce"]
    asked = keep.asked_for(
        [["important_class=worst1"], ["important_class=cat"], ["important_class=null"]], runs[0], sweep
    )
    for run in runs:
        whole, small = (np.load(at / "predictions.npz")["test_scores"] for at in (run.folder, kept / run.folder.name))
        for k in asked:
            np.testing.assert_array_equal(threshold.moved(small, [k], 3.0), threshold.moved(whole, [k], 3.0))
    assert len(asked) == 2


def test_a_run_that_the_study_no_longer_has_is_kept_no_more(kept: Path, tmp_path: Path) -> None:
    runs = {path.parent.name for path in kept.glob("*/result.json")}
    gone = sorted((tmp_path / "sweep").glob("camri+0.2*"))
    for folder in gone:
        shutil.rmtree(folder)
    kept_of(tmp_path / "sweep", kept)
    assert gone
    assert {path.parent.name for path in kept.glob("*/result.json")} == runs - {folder.name for folder in gone}


def test_the_page_shows_the_tables_beside_the_papers_numbers(kept: Path) -> None:
    text = page.text(kept.parent)
    judged = compare_methods(collect([kept]).runs, Protocol())
    for one in judged:
        for line in tables.markdown_table(*tables.details(one, {"camri": "CAMRI", "ce": "CE"})):
            assert line in text
    assert "36 hours" not in text
    runs = len(collect([kept]).runs)
    assert f"{runs} of 210 runs, {210 - runs} still to be made" in text
    assert "an abacus" in text
    beside = page.beside_paper(judged, {(0,): "worst1", (2,): "median"}, "gtsrb", {"camri": "CAMRI"})
    (camri,) = [line for line in beside.splitlines() if line.startswith("| CAMRI")]
    assert camri.index(".8353 (.9801)") < camri.index(".9952 (.9812)")  # the paper's, for those ranks


def test_the_page_says_by_which_runs_the_classes_were_ranked(kept: Path) -> None:
    ranking = kept.with_name("gtsrb_cpu_ranking")
    runs = [write_run(ranking / f"ce+{seed}", "ce", seed, class_free=True, noise=1.5) for seed in (10, 11)]
    results = [json.loads((run / "result.json").read_text()) for run in runs]
    recalls = {name: np.mean([one["test"]["recall"][name] for one in results]) for name in results[0]["class_names"]}
    text = page.text(kept.parent)
    assert "seeds (10, 11;" in text
    assert f"cat {recalls['cat']:.4f} (" in text
    places = sorted(recalls, key=recalls.__getitem__)
    rank = "median" if places[1] == "cat" else f"worst{places.index('cat') + 1}"
    assert f"### {rank}: cat" in text


def test_the_page_says_how_tightly_features_gather(kept: Path) -> None:
    found = [json.loads(path.read_text()) for path in kept.glob("camri+0.2+16+*+0/result.json")]
    own = [np.mean([one["angles"][key][0] for one in found]) for key in ("mean", "variance")]
    others = [np.mean([one["angles"][key][1:] for one in found]) for key in ("mean", "variance")]
    cells = [f"{value:.4f}" for pair in zip(own, others, strict=True) for value in pair]
    assert f"| CAMRI | margin=0.2, scale=16 | {' | '.join(cells)} |" in page.text(kept.parent)


def test_the_page_moves_the_threshold_of_every_method(kept: Path, tmp_path: Path) -> None:
    (judged, _) = compare_methods(collect([tmp_path / "sweep"]).runs, Protocol())
    for row, name in ((judged.baseline, "CE"), (judged.methods[0], "CAMRI")):
        assert row.configuration is not None
        moved = []
        for run in row.configuration.runs.values():
            arrays = np.load(run.folder / "predictions.npz")
            val, test = ((arrays[f"{split}_scores"], arrays[f"{split}_target"]) for split in ("val", "test"))
            own = threshold.at(*val, [0], 0.0).accuracy
            bias = threshold.keeping(threshold.curve(*val, [0]), own).bias
            moved.append(threshold.at(*test, [0], bias))
        after = f"{np.mean([m.recall for m in moved]):.4f} ({np.mean([m.accuracy for m in moved]):.4f})".replace(
            "0.", "."
        )
        (said,) = [
            line
            for line in page.text(kept.parent).splitlines()
            if line.startswith(f"| cat | {name} |") and line.count("|") == 6
        ]
        assert said.split(" | ")[4] == f"{after} |"


def test_the_page_says_what_choosing_on_test_would_have_claimed(kept: Path) -> None:
    results = [json.loads(path.read_text()) for path in kept.glob("*/result.json")]
    settings: dict[str, list[dict[str, Any]]] = {}
    for one in results:
        if one["loss"] == "ce" or one["important_class_names"] == ["cat"]:
            settings.setdefault(one["setting"] if one["loss"] == "camri" else "ce", []).append(one["test"])
    means = {
        name: (np.mean([one["accuracy"] for one in runs]), np.mean([one["recall"]["cat"] for one in runs]))
        for name, runs in settings.items()
    }
    bar, recall = means.pop("ce")
    best = max(found for accuracy, found in means.values() if accuracy >= bar)
    found = page.text(kept.parent).partition("chosen on test |")[2]
    (said,) = [line for line in found.splitlines() if line.startswith("| cat | CAMRI |")]
    assert f" {best - recall:+.4f} (" in said.split("|")[4]


def test_restored_runs_are_no_work_to_do(kept: Path, tmp_path: Path) -> None:
    keep.restore(kept, tmp_path / "again")
    assert len(list((tmp_path / "again").glob("*/result.json"))) == len(list(kept.glob("*/result.json")))


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_can_be_planned(name: str, tmp_path: Path) -> None:
    jobs = planned([*STUDIES[name].overrides, f"sweep.name={name}", "seed=range(2)"], tmp_path)
    assert len({tuple(sorted(job)) for job in jobs.values()}) == len(jobs)
    assert {item for job in jobs.values() for item in job if item.startswith("seed=")} == {"seed=0", "seed=1"}
    assert {item for job in jobs.values() for item in job if item.startswith("loss=")} >= {"loss=ce", "loss=camri"}
    told = table(name, jobs, tmp_path, workers=2)
    assert told.startswith(f"{name}: {len(jobs)} runs")


def test_the_time_to_go_comes_from_the_runs_so_far(kept: Path, tmp_path: Path) -> None:
    jobs = planned(["experiment=gtsrb_cpu_table1"], tmp_path / "sweep")
    told = table("gtsrb_cpu", jobs, kept, workers=2)
    assert f"{len(jobs)} to go" in told
    assert "A run took 36 s so far: about" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dataset=gtrsb", "budget=cpu"], "no study gtrsb_cpu. Did you mean 'gtsrb_cpu'"),
        (["dataset=gtsrb", "bugdet=cpu", "budget=cpu"], "bugdet is not known. Did you mean 'budget'"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reproduce.py", *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_says_whether_validation_ranks_the_classes_as_test_does(kept: Path) -> None:
    (judged, *_) = compare_methods(collect([kept]).runs, Protocol())
    said = page.agreement(judged)
    assert judged.baseline.configuration is not None
    runs = list(judged.baseline.configuration.runs.values())
    val, test = (
        np.mean([list(run.metrics[split]["recall"].values()) for run in runs], axis=0) for split in ("val", "test")
    )
    assert f"rank correlation {spearmanr(val, test).statistic:.2f} over {len(val)} classes" in said
    names = list(runs[0].metrics["test"]["recall"])
    assert f"Worst on test: {tables.escape_markdown(names[int(test.argmin())])} ({test.min():.4f})" in said
    assert said in page.text(kept.parent)


def test_the_results_page_is_what_the_kept_runs_say() -> None:
    results = ROOT / "docs" / "results"
    assert list(results.glob("*/study.json")), "docs/results holds no study"
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == page.text(results)


def test_the_readme_quotes_what_the_kept_runs_say() -> None:
    results = ROOT / "docs" / "results"
    ranked = collect([results / "gtsrb_cpu_ranking"]).runs
    judged = compare_methods(collect([results / "gtsrb_cpu"]).runs, Protocol())
    (worst,) = [one for one in judged if page.rank_of(one, ranked) == "worst1"]
    quote = " ".join((ROOT / "README.md").read_text(encoding="utf-8").replace("\n> ", " ").split())
    assert conclude(worst).sentence in quote
