"""The benchmark script: its numbers are put together rightly, and the page shows what was measured."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from benchmarks import _frame, _page, _training, cpu, gpu, growth
from benchmarks._frame import Row, in_turn

ROOT = Path(__file__).resolve().parents[2]


def test_a_row_is_medians_of_repeats_and_of_their_ratios() -> None:
    row = Row.of("a", [1, 8, 3], "s", "b", [2, 4, 4], "ratio <= 0.75")
    assert (row.ours, row.against, row.ratio, row.spread, row.met) == (3, 4, 0.75, (0.625, 1.375), True)


@pytest.mark.parametrize(
    ("target", "met"),
    [("", None), ("ratio >= 2", True), ("ratio <= 1.9", False), ("ours <= 4", True), ("difference <= 1.5", False)],
)
def test_targets_ask_for_the_ratio_the_number_or_the_difference(target: str, met: bool | None) -> None:
    assert Row.of("a", [4], "s", "b", [2], target).met is met


def test_measurements_take_turns_after_a_warm_up_of_each() -> None:
    order: list[str] = []
    found = in_turn(2, a=lambda: order.append("a") or 1.0, b=lambda: order.append("b") or 2.0)
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert found == {"a": [1, 1], "b": [2, 2]}


def test_rows_survive_json() -> None:
    for row in (Row.of("a", [1.5], "s"), Row.of("a", [1, 2], "s", "b", [2, 3], "ratio <= 1", "note")):
        assert _frame.row(json.loads(json.dumps(row.as_dict()))) == row


def test_every_benchmark_has_a_title_and_measures() -> None:
    for name in _frame.names():
        module = _frame.load(name)
        assert _page.title(module), name
        assert callable(module.measure), name


def test_the_page_is_made_of_the_measurements() -> None:
    """If this fails: python scripts/benchmark.py --docs"""
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert text == _page.page(_page.read(ROOT / "docs" / "performance"))


def test_measurements_on_disk_are_whole() -> None:
    files = list((ROOT / "docs" / "performance").glob("*.json"))
    assert files
    for file in files:
        found = json.loads(file.read_text(encoding="utf-8"))
        assert found["schema"] == 1
        for name, section in found["benchmarks"].items():
            assert name in _frame.names()
            assert not section["quick"], f"{file.name}: {name} was measured with --quick"
            assert {"processor", "cores", "threads", "gpus", "packages"} <= set(section["machine"])
            for row in section["rows"]:
                assert set(row) == {field.name for field in fields(Row)} | {"met"}
                assert _frame.row(row).met == row["met"]


def test_one_benchmark_is_measured_and_joins_what_the_file_has(tmp_path: Path) -> None:
    output = tmp_path / "here.json"
    output.write_text(json.dumps({"schema": 1, "benchmarks": {"other": {"rows": []}}}))
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "benchmark.py", "--only", "startup", "--quick", "--json", output],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--cfg job" in done.stdout
    found = json.loads(output.read_text())["benchmarks"]
    assert set(found) == {"other", "startup"}
    assert found["startup"]["quick"] is True


def test_compiling_has_paid_when_what_it_took_is_won_back() -> None:
    assert cpu.break_even(compiling=30, before_ms=100, after_ms=60, batch=64) == pytest.approx(64 * 30 / 0.04)
    assert cpu.break_even(compiling=30, before_ms=60, after_ms=60) == float("inf")


def test_growth_is_held_against_the_proportional_one() -> None:
    rows = growth.rows_of("K", (10, 100), {"10": [1e-3], "100": [11e-3]})
    assert [(row.ours, row.against) for row in rows] == [(1, None), (pytest.approx(11), pytest.approx(10))]
    assert rows[1].met is True


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_its_benchmark_says_so_in_a_line() -> None:
    with pytest.raises(_frame.UnavailableError, match="no GPU"):
        gpu.measure(quick=True)


def test_what_is_measured_on_a_gpu_runs_on_the_cpu_too() -> None:
    what, overrides = gpu.arguments("default", "small_cnn", 64, steps=3, epochs=1)
    speed, waits = gpu.throughput(what, (*overrides, "trainer.accelerator=cpu"))
    assert speed.ours > 0
    assert speed.against is not None
    assert (waits.ours, waits.met) == (0, True)


def test_runs_at_once_add_up() -> None:
    assert gpu.at_once(1, "default", "small_cnn", epochs=1) > 0


def test_the_fast_recipe_trains_whole_batches_only() -> None:
    cfg = _training.config("experiment=cifar10_fast")
    assert cfg.trainer.limit_train_batches == 45_000 // cfg.data.batch_size
    assert cfg.trainer.precision == "bf16-mixed"


def test_the_bare_loop_learns() -> None:
    """The rival does the same work: after four epochs its loss has fallen as a training's does."""
    cfg = _training.config(
        "data=digits", "trainer.accelerator=cpu", "trainer.max_epochs=4", "trainer.limit_train_batches=19"
    )
    loop = _training.BareLoop(cfg, torch.device("cpu"))
    images, target = loop.data.normalize(loop.images[loop.index]), loop.target

    def loss() -> float:
        with torch.no_grad():
            return loop.model.loss(loop.model(images), target).item()

    before = loss()
    for _ in range(4):
        loop.epoch()
    assert loss() < before / 2
