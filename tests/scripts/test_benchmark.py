"""The benchmark script: its statistics, and the page generated from the stored measurements."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from benchmarks import _harness, _render, _training, cpu, gpu, growth
from benchmarks._harness import Measurement, in_turn

from camri_exp.training.run import prepared

ROOT = Path(__file__).resolve().parents[2]


def test_a_measurement_holds_medians_of_repeats_and_of_their_ratios() -> None:
    measured = Measurement.of("a", [1, 8, 3], "s", "b", [2, 4, 4], "ratio <= 0.75")
    assert (measured.ours, measured.against, measured.ratio) == (3, 4, 0.75)
    assert (measured.spread, measured.met) == ((0.625, 1.375), True)


@pytest.mark.parametrize(
    ("target", "met"),
    [("", None), ("ratio >= 2", True), ("ratio <= 1.9", False), ("ours <= 4", True), ("difference <= 1.5", False)],
)
def test_a_target_bounds_the_ratio_the_value_or_the_difference(target: str, met: bool | None) -> None:
    assert Measurement.of("a", [4], "s", "b", [2], target).met is met


def test_measurements_alternate_after_a_warm_up_of_each() -> None:
    order: list[str] = []
    values = in_turn(2, a=lambda: order.append("a") or 1.0, b=lambda: order.append("b") or 2.0)
    assert order == ["a", "b", "a", "b", "b", "a"]
    assert values == {"a": [1, 1], "b": [2, 2]}


def test_measurements_survive_json() -> None:
    plain = Measurement.of("a", [1.5], "s")
    compared = Measurement.of("a", [1, 2], "s", "b", [2, 3], "ratio <= 1", "note")
    for measured in (plain, compared):
        assert Measurement.from_dict(json.loads(json.dumps(measured.to_dict()))) == measured


def test_every_benchmark_has_a_title_and_a_measure_function() -> None:
    for name in _harness.names():
        module = _harness.load(name)
        assert _render.title(module), name
        assert callable(module.measure), name


def test_the_page_is_generated_from_the_stored_measurements() -> None:
    """If this fails: python scripts/benchmark.py --docs"""
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert text == _render.page(_render.read(ROOT / "docs" / "performance"))


def test_stored_measurements_are_complete() -> None:
    files = list((ROOT / "docs" / "performance").glob("*.json"))
    assert files
    for file in files:
        content = json.loads(file.read_text(encoding="utf-8"))
        assert content["schema"] == 1
        for name, section in content["benchmarks"].items():
            assert name in _harness.names()
            assert not section["quick"], f"{file.name}: {name} was measured with --quick"
            assert {"processor", "cores", "threads", "gpus", "packages"} <= set(section["machine"])
            for row in section["rows"]:
                assert set(row) == {field.name for field in fields(Measurement)} | {"met"}
                assert Measurement.from_dict(row).met == row["met"]


@pytest.mark.slow
def test_one_benchmark_is_measured_and_added_to_the_file(tmp_path: Path) -> None:
    output = tmp_path / "here.json"
    output.write_text(json.dumps({"schema": 1, "benchmarks": {"other": {"rows": []}}}))
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "benchmark.py", "--only", "startup", "--quick", "--json", output],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--cfg job" in done.stdout
    benchmarks = json.loads(output.read_text())["benchmarks"]
    assert set(benchmarks) == {"other", "startup"}
    assert benchmarks["startup"]["quick"] is True


def test_compilation_pays_off_when_its_time_is_recovered() -> None:
    assert cpu.break_even(compiling=30, before_ms=100, after_ms=60, batch=64) == pytest.approx(64 * 30 / 0.04)
    assert cpu.break_even(compiling=30, before_ms=60, after_ms=60) == float("inf")


def test_growth_is_compared_with_proportional_growth() -> None:
    small, large = growth.measurements_of("K", (10, 100), {"10": [1e-3], "100": [11e-3]})
    assert (small.ours, small.against) == (1, None)
    assert (large.ours, large.against) == (pytest.approx(11), pytest.approx(10))
    assert large.met is True


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_the_gpu_benchmark_is_unavailable_without_a_gpu() -> None:
    with pytest.raises(_harness.UnavailableError, match="no GPU"):
        gpu.measure(quick=True)


@pytest.mark.slow
def test_the_gpu_measurements_run_on_the_cpu_too() -> None:
    what, overrides = gpu.arguments("default", "small_cnn", 64, steps=3, epochs=1)
    speed, waits = gpu.throughput(what, (*overrides, "trainer.accelerator=cpu"))
    assert speed.ours > 0
    assert speed.against is not None
    assert (waits.ours, waits.met) == (0, True)


@pytest.mark.slow
def test_runs_at_once_have_a_total_speed() -> None:
    assert gpu.at_once(1, "default", "small_cnn", epochs=1) > 0


def test_the_fast_recipe_trains_on_full_batches_only() -> None:
    cfg = _training.config("experiment=cifar10_fast")
    assert cfg.trainer.limit_train_batches == 45_000 // cfg.data.batch_size
    assert cfg.trainer.precision == "bf16-mixed"


@pytest.mark.slow
def test_the_bare_loop_learns() -> None:
    """The baseline does real training: its loss falls to less than half within four epochs."""
    cfg = _training.config(
        "data=digits", "trainer.accelerator=cpu", "trainer.max_epochs=4", "trainer.limit_train_batches=19"
    )
    loop = _training.BareLoop(cfg, torch.device("cpu"))
    images, target = loop.images[loop.index], loop.target

    def loss() -> float:
        with torch.no_grad():
            return loop.model.loss(loop.model(images), target).item()

    before = loss()
    for _ in range(4):
        loop.epoch()
    assert loss() < before / 2


def test_the_bare_loop_and_the_trainer_do_the_same_step() -> None:
    """One step of each from the same weights on the same batch gives the same weights."""
    cfg = _training.config(
        "data=digits", "trainer.accelerator=cpu", "trainer.max_epochs=1", "trainer.limit_train_batches=1"
    )
    loop = _training.BareLoop(cfg, torch.device("cpu"))
    data, model = prepared(cfg)
    with _training.trainer(cfg) as lightning:
        lightning.fit(model, datamodule=data)
    data.train_dataloader().sampler.set_epoch(0)
    (images, target), *_ = data.train_dataloader()
    loop.step(images, target)
    for ours, theirs in zip(model.parameters(), loop.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, msg="the trainer and the bare loop differ")
