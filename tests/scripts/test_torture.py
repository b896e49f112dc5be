"""The torture script: what it tries, how it judges, and the page that it writes."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torture
from reliability import page, process, tries
from reliability.process import Subject, leftovers, same_numbers
from reliability.tries import Try

from tests.helpers.generated_runs import write_run

OUTCOMES = [
    Try(tries.SINGLE, 0, "in training", True, True, 30.0),
    Try(tries.SINGLE, 1, "starting", True, False, 50.0),
    Try(tries.DISK, 0, "in training", False, False, 20.0, ["a traceback: one\nline"]),
]
ABOUT = page.Circumstances("2026-01-02", "abc1234", "python scripts/torture.py --workdir work", can_mount=True)


def test_the_page_counts_the_outcomes_and_names_what_was_wrong() -> None:
    text = page.render(OUTCOMES, ABOUT)
    assert "| kill -9, single run | 2 | 1 in training, 1 starting | 2 of 2 | 1 of 2 | 40 s |" in text
    assert "| full disk | 1 | 1 in training | 0 of 1 | 0 of 1 | 20 s |" in text
    assert "3 tries on 2026-01-02, at commit abc1234." in text
    assert "- full disk, in training: a traceback: one\n" in text
    assert ABOUT.command in text
    assert "No other check failed" in page.render(OUTCOMES[:2], ABOUT)


def test_a_third_of_the_kills_strike_while_a_checkpoint_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["torture.py", "--workdir", str(tmp_path)])
    plan = list(torture.planned(torture.parse(), can_mount=False))
    counts = {kind: sum(key[0] == kind for key in plan) for kind in page.KINDS}
    assert counts == {tries.SINGLE: 20, tries.CHECKPOINT: 10, tries.SWEEP: 30, tries.DISK: 0, tries.TERM: 10}
    assert {kind for kind, _ in plan[:4]} == {tries.SINGLE, tries.CHECKPOINT, tries.SWEEP, tries.TERM}


def test_folders_of_this_machine_are_not_shown() -> None:
    given = ["--workdir", "/somewhere/work", "--runs", "3", "--output", "/somewhere/page.md"]
    assert torture.arguments(given) == ["--workdir", "work", "--runs", "3"]


def test_finished_tries_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, int]] = []
    monkeypatch.setattr(torture, "reference", lambda *_: None)
    monkeypatch.setattr(tries, "make", lambda outcome, *_: made.append((outcome.kind, outcome.number)))
    plan = [(tries.SINGLE, 0), (tries.TERM, 0)]
    list(torture.make_all(plan[:1], tmp_path, seed=0))
    *_, done = torture.make_all(plan, tmp_path, seed=0)
    assert made == plan
    assert list(done) == plan


def test_numbers_are_the_same_bit_for_bit_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (write_run(tmp_path / name, "ce", 0) / "metrics.csv").write_text("epoch\n0\n")
    assert same_numbers(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "metrics.csv").write_text("epoch\n1\n")
    assert not same_numbers(tmp_path / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "b")
    (write_run(tmp_path / "b", "ce", 0, noise=1.0001) / "metrics.csv").write_text("epoch\n0\n")
    assert not same_numbers(tmp_path / "a", tmp_path / "b")


def test_the_stage_is_seen_from_the_files(tmp_path: Path) -> None:
    run = tmp_path / "run"
    subject = Subject(run, (), is_sweep=False)
    (run / "checkpoints").mkdir(parents=True)
    stages = [subject.stage()]
    (run / "config.yaml").touch()
    stages.append(subject.stage())
    (run / "checkpoints" / ".part-1.ckpt").touch()
    stages.append(subject.stage())
    assert leftovers(run) == [".part-1.ckpt"]
    (run / "checkpoints" / ".part-1.ckpt").unlink()
    (run / "metrics.csv").write_text("epoch\n" + "0\n" * process.EPOCHS)
    stages.append(subject.stage())
    (run / "result.json").touch()
    stages.append(subject.stage())
    assert stages == ["starting", "in training", "writing a checkpoint", "in the evaluation", "after the result"]


@pytest.mark.slow
def test_a_killed_run_is_finished_with_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = ("--runs", "1", "--sweeps", "0", "--full-disks", "0", "--sigterm", "0")
    arguments = [*counts, "--workdir", str(tmp_path / "work"), "--output", str(tmp_path / "page.md")]
    monkeypatch.setattr(sys, "argv", ["torture.py", *arguments])
    assert torture.main() == 0
    outcomes = [json.loads(line) for line in (tmp_path / "work" / "tries.jsonl").read_text().splitlines()]
    assert [(o["kind"], o["finished_once"], o["same_numbers"], o["problems"]) for o in outcomes] == [
        (tries.SINGLE, True, True, []),
    ]
    assert "1 tries on " in (tmp_path / "page.md").read_text()
