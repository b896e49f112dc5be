"""Jobs that are trained as one program leave what they leave alone, whatever their loss, also after a kill."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from camri_exp.cli import CONFIGS
from camri_exp.results import FailureRecord, RunResult
from camri_exp.sweeps.stackable import OF_ONE_RUN
from tests.conftest import QUICK, TESTS, TINY_CONFIGS, TRUST, Command
from tests.helpers.runs import trained

LOSSES = sorted(
    path.stem for path in (CONFIGS / "loss").glob("*.yaml") if not any(map(OmegaConf.load(path).get, OF_ONE_RUN))
)
TINY = ("data=tiny", TINY_CONFIGS, "model.width=0.5")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The overrides of runs on the features of a trained network."""
    folder = tmp_path_factory.mktemp("features")
    whole = trained(folder / "run", *TINY, "loss=ce")
    weights = f"model.weights={whole / 'checkpoints' / 'best.ckpt'}"
    return *TINY, "model.frozen=true", weights, f"++data.cache_dir={folder / 'cache'}"


def sweep(command: Command, folder: Path, *overrides: str) -> Any:
    return command("train", "-m", *QUICK, f"hydra.sweep.dir={folder}", *overrides)


def runs(folder: Path) -> dict[tuple[str, int], Path]:
    """The folders of the finished jobs by loss and seed."""
    found = {path.parent: RunResult.of(path.parent) for path in folder.glob("*/result.json")}
    return {(result.loss, result.seed): run for run, result in found.items()}


def assert_same_run(alone: Path, stacked: Path) -> None:
    """The files are the same, the numbers equal up to rounding."""
    assert {path.name for path in stacked.rglob("*")} == {path.name for path in alone.rglob("*")}
    expected, found = RunResult.of(alone), RunResult.of(stacked)
    timed = ("fit_seconds", "images_per_second", "stacked", "angles")
    assert {k: v for k, v in vars(found).items() if k not in timed} == {
        k: v for k, v in vars(expected).items() if k not in timed
    }
    with np.load(alone / "predictions.npz") as a, np.load(stacked / "predictions.npz") as b:
        assert set(a) == set(b)
        for name in a:
            if a[name].dtype.kind == "f":
                np.testing.assert_allclose(b[name], a[name], atol=1e-4)
            else:
                np.testing.assert_array_equal(b[name], a[name])
    rows, same = (list(csv.DictReader((run / "metrics.csv").open())) for run in (alone, stacked))
    assert [list(row) for row in rows] == [list(row) for row in same]
    for row, other in zip(rows, same, strict=True):
        np.testing.assert_allclose([float(v) for v in other.values()], [float(v) for v in row.values()], atol=1e-4)
    for name in ("best", "last"):
        one, two = (torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True) for run in (alone, stacked))
        assert (one.keys(), one["epoch"], one["global_step"]) == (two.keys(), two["epoch"], two["global_step"])
        torch.testing.assert_close(two["state_dict"], one["state_dict"], atol=1e-4, rtol=0)
    assert one["loops"] == two["loops"]
    torch.testing.assert_close(two["optimizer_states"], one["optimizer_states"], atol=1e-4, rtol=1e-3)


def test_every_loss_gives_the_same_run_in_a_stack(command: Command, tmp_path: Path, features: tuple[str, ...]) -> None:
    jobs = [f"loss={','.join(LOSSES)}", "trainer.max_epochs=2"]
    assert sweep(command, tmp_path / "alone", *features, *jobs, "hydra/launcher=basic", "seed=2").code == 0
    done = sweep(command, tmp_path / "stacked", *features, *jobs, "seed=1,2")
    assert done.code == 0, done.err
    assert "one after the other" not in done.err
    alone, stacked = runs(tmp_path / "alone"), runs(tmp_path / "stacked")
    assert set(stacked) == {(loss, seed) for loss in LOSSES for seed in (1, 2)}
    assert all((RunResult.of(run).stacked or 0) > 2 for run in stacked.values())
    assert {RunResult.of(run).stacked for run in alone.values()} == {None}
    for loss in LOSSES:
        assert_same_run(alone[loss, 2], stacked[loss, 2])


def test_settings_of_everything_that_may_differ_in_a_stack(
    command: Command, tmp_path: Path, features: tuple[str, ...]
) -> None:
    fixed = ["loss=camri", "model.embedding=4", "trainer.max_epochs=2", "optimizer.weight_decay=${optimizer.lr}"]
    jobs = ["loss.margin=0.1,0.4", "loss.scale=4,16", "important_class=0,3", "optimizer.lr=0.001,0.01"]
    assert sweep(command, tmp_path / "stacked", *features, *fixed, *jobs).code == 0
    results = [RunResult.of(path.parent) for path in (tmp_path / "stacked").glob("*/result.json")]
    assert {result.stacked for result in results} == {16}
    last = ["loss.margin=0.4", "loss.scale=16", "important_class=3", "optimizer.lr=0.01"]
    alone = trained(tmp_path / "alone", *features, *fixed, *last)
    digest = RunResult.of(alone).config_hash
    (same,) = [path.parent for path in (tmp_path / "stacked").glob("*/result.json") if digest in path.read_text()]
    with np.load(alone / "predictions.npz") as a, np.load(same / "predictions.npz") as b:
        np.testing.assert_allclose(b["test_scores"], a["test_scores"], atol=1e-4)


def test_a_stacked_run_is_trained_further_like_any_run(
    command: Command, tmp_path: Path, features: tuple[str, ...]
) -> None:
    setting = (*features, "loss=camri", "scheduler=constant", "optimizer.weight_decay=${seed}")
    assert sweep(command, tmp_path / "stacked", *setting, "seed=0,1").code == 0
    stacked = runs(tmp_path / "stacked")["camri", 1]
    alone = trained(tmp_path / "alone", *setting, "seed=1")
    found = [RunResult.of(run) for run in (alone, *runs(tmp_path / "stacked").values())]
    assert len({result.setting for result in found}) == 1  # though the decay depends on the seed
    for run in (stacked, alone):
        assert command("train", f"resume={run}", TRUST, "trainer.max_epochs=3").code == 0
    with np.load(alone / "predictions.npz") as a, np.load(stacked / "predictions.npz") as b:
        np.testing.assert_allclose(b["test_scores"], a["test_scores"], atol=1e-4)
    assert RunResult.of(stacked).epochs == 3


def test_a_job_fails_alone(command: Command, tmp_path: Path, features: tuple[str, ...]) -> None:
    jobs = ["loss=l2_softmax,camri", "sweep.only.camri.loss.margin=0.1,9", "optimizer.lr=0.001,1e38", "seed=0,1"]
    done = sweep(command, tmp_path / "stacked", *features, *jobs, "trainer.max_epochs=2", "optimizer=sgd")
    assert done.code == 1
    errors = {
        path.parent.name: FailureRecord.read(path).error for path in (tmp_path / "stacked").glob("*/failure.json")
    }
    refused = [error for error in errors.values() if "margin=9; expected radians" in error]
    diverged = [error for error in errors.values() if "the loss is nan" in error or "the loss is inf" in error]
    assert (len(errors), len(refused), len(diverged)) == (8, 4, 4)
    assert len(list((tmp_path / "stacked").glob("*/result.json"))) == 4


def test_jobs_that_cannot_be_stacked_run_alone_and_that_is_said(
    command: Command, tmp_path: Path, features: tuple[str, ...]
) -> None:
    jobs = ["hydra/launcher=stacked", "loss=ce", "seed=0,1", "trainer.gradient_clip_val=1,null"]
    done = sweep(command, tmp_path / "stacked", *features, *jobs)
    assert done.code == 0, done.err
    assert "2 of 4 jobs run one after the other: trainer.gradient_clip_val=1" in done.err
    results = [RunResult.of(path.parent) for path in (tmp_path / "stacked").glob("*/result.json")]
    assert sorted(str(result.stacked) for result in results) == ["2", "2", "None", "None"]


def test_a_killed_stack_ends_with_the_numbers_of_an_undisturbed_one(
    command: Command, tmp_path: Path, features: tuple[str, ...]
) -> None:
    jobs = (*features, "loss=ce,wce,camri,arcface", "seed=0,1,2", "trainer.max_epochs=5")
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    assert sweep(command, calm, *jobs).code == 0
    begin = [sys.executable, "-m", "camri_exp.train", "-m", *QUICK, f"hydra.sweep.dir={killed}", *jobs]
    environment, quiet = os.environ | {"PYTHONPATH": str(TESTS.parent)}, subprocess.DEVNULL
    process, end = subprocess.Popen(begin, env=environment, stdout=quiet, stderr=quiet), time.monotonic() + 120
    while len(list(killed.glob("*/result.json"))) < 2 and time.monotonic() < end:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    written = {path: path.stat().st_mtime_ns for path in killed.glob("*/result.json")}
    assert 2 <= len(written) < 12
    again = sweep(command, killed, *jobs)
    assert again.code == 0, again.err
    assert all(path.stat().st_mtime_ns == time_of for path, time_of in written.items())
    assert not list((killed / ".stacked").iterdir())
    for key, run in runs(calm).items():
        with np.load(run / "predictions.npz") as a, np.load(runs(killed)[key] / "predictions.npz") as b:
            assert {name: a[name].tolist() for name in a} == {name: b[name].tolist() for name in b}
