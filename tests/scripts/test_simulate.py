"""docs/statistics.md shows its kept results, and the simulation gives the same numbers again."""

import sys
from pathlib import Path

import numpy as np
import pytest
import simulate
from simulation import page
from simulation.measures import cells
from simulation.sweeps import NOISES, sweep

from camri_exp.reporting.selection import Protocol, compare_methods

ROOT = Path(__file__).resolve().parents[2]
DATA, PAGE = ROOT / "docs" / "statistics.json", ROOT / "docs" / "statistics.md"


def test_the_page_is_that_of_the_kept_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == page.text(page.read(DATA))


def test_kept_results_meet_what_is_promised() -> None:
    kept = page.read(DATA)
    for cell in cells():
        if cell.key not in kept:
            continue
        counts = kept[cell.key]
        noise = 2 / np.sqrt(counts["sweeps"])  # two standard errors of a share are at most this times its sd
        if cell.table == "null":
            assert counts["claimed"] <= 0.045 + noise * np.sqrt(0.045)
        for name in ("covered", "covered, new images"):
            assert not counts.get(name, 1) < 0.92 - noise * np.sqrt(0.08)
        if cell.table == "margin":
            assert not counts["non-inferior"] > 0.06 + noise * np.sqrt(0.06)
        if cell.table == "threshold":
            assert counts["loss recommended"] <= 0.01 + noise * 0.1


def test_an_interrupted_simulation_continues_with_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [cell for cell in cells() if cell.key in ("null-digits-3-1", "coverage-digits-3", "threshold-3-0.4")]
    monkeypatch.setattr(page, "cells", lambda: few)

    def run(name: str, *arguments: str) -> str:
        files = ["--data", str(tmp_path / f"{name}.json"), "--output", str(tmp_path / f"{name}.md")]
        monkeypatch.setattr(sys, "argv", ["simulate.py", "--sweeps", "0.01", *files, *arguments])
        simulate.main()
        return (tmp_path / f"{name}.md").read_text()

    whole = run("whole")
    run("parts", "--seconds", "0")
    assert "The same command continues" in capsys.readouterr().out
    assert run("parts") == whole
    assert "| digits | 3 | 1 |" in whole


def test_configurations_of_a_sweep_share_the_images_and_nothing_else() -> None:
    """Without a gain the baseline is no better or worse than the others."""
    runs = sweep(np.random.default_rng(0), NOISES["cifar10"], 8, 5)
    (comparison,) = compare_methods(runs, Protocol(tolerance=0.5))
    recalls = [np.mean(list(c.recall("test").values())) for c in comparison.configurations]
    assert len(recalls) == 6
    assert np.ptp(recalls) < 0.06
