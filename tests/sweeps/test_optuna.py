"""hydra/sweeper=optuna: a search for two objectives in a file, which resumes, grows and ends in its Pareto front."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import QUICK, TESTS, TINY_CONFIGS, Command
from tests.helpers.faults import CALLBACK, ORDER

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="the extra `optuna` is not installed")
optuna = pytest.importorskip("optuna", reason="the extra `optuna` is not installed")

SEARCH = (
    "hydra/sweeper=optuna", "data=tiny", TINY_CONFIGS, *QUICK,
    "trainer.max_epochs=2", "sweep.name=search", CALLBACK,
)  # fmt: skip


def test_search_resumes_and_ends_in_its_pareto_front(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ORDER, "error 0 1")  # every trial's
    failed = command("train", "-m", *SEARCH, "hydra.sweeper.n_trials=2")
    assert failed.code == 1
    assert "sweep: 0 done, 2 failed, 0 skipped, 0 left" in failed.err

    monkeypatch.setenv(ORDER, "error 0 0")
    for trials in (1, 3):
        finished = command("train", "-m", *SEARCH, f"hydra.sweeper.n_trials={trials}")
        assert finished.code == 0, finished.err

    folder = tmp_path / "logs" / "sweeps" / "search"
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'study.db'}")
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 2 + ["COMPLETE"] * 4
    assert {name for trial in study.trials for name in trial.params} == {"loss", "loss.margin", "loss.scale"}
    results = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    pairs = [(result["val"]["accuracy"], result["val"]["recall_important"]) for result in results]
    assert sorted(pairs) == sorted(tuple(trial.values) for trial in study.trials[2:])

    front = {p for p in pairs if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in pairs)}
    printed = finished.out[finished.out.index("Pareto front") :].splitlines()[2:]
    numbers = [tuple(map(float, line.split()[:2])) for line in printed if line.startswith("   ")]
    assert sorted(set(numbers)) == sorted((round(a, 4), round(r, 4)) for a, r in front)


def test_a_constrained_search_has_one_objective(command: Command, tmp_path: Path) -> None:
    search = [
        "hydra/sweeper=optuna_constrained" if item == "hydra/sweeper=optuna" else item
        for item in SEARCH
        if item != CALLBACK
    ]
    for accuracy, trials in ((0.3, 3), (1.0, 2)):
        finished = command("train", "-m", *search, f"sweep.min_accuracy={accuracy}", f"hydra.sweeper.n_trials={trials}")
        assert finished.code == 0, finished.err
        folder = tmp_path / "logs" / "sweeps" / "search"
        study = optuna.load_study(
            study_name=f"search at accuracy {accuracy}", storage=f"sqlite:///{folder / 'study.db'}"
        )
        results = [json.loads(path.read_text())["val"] for path in folder.glob("*/result.json")]
        values = {
            result["recall_important"] if result["accuracy"] >= accuracy else result["accuracy"] - accuracy
            for result in results
        }
        assert len(study.trials) == trials
        assert {trial.value for trial in study.trials} <= values
        text = f"best trial of {folder.relative_to(tmp_path)}: val recall {study.best_value:.4f}"
        short = f"nearest, its validation accuracy is {-100 * study.best_value:.2f} pp below that"
        assert (text if study.best_value >= 0 else short) in finished.out


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["hydra/sweeper=optuna_constrained"], "needs the accuracy to keep: sweep.min_accuracy=0.97"),
        (["hydra/sweeper=optuna", "sweep.min_accuracy=0.9"], "add hydra/sweeper=optuna_constrained, or omit it."),
        (["seed=0,1", "sweep.min_accuracy=0.9"], "add hydra/sweeper=optuna_constrained, or omit it."),
    ],
)
def test_an_accuracy_belongs_to_a_constrained_search(command: Command, overrides: list[str], message: str) -> None:
    finished = command("train", "-m", *overrides)
    assert (finished.code, message in finished.err) == (1, True), finished.err


def test_interrupt_stops_cleanly(tmp_path: Path) -> None:
    """In a process of its own: what nobody catches would end this one."""
    search = [sys.executable, "-m", "camri_exp.train", "-m", *SEARCH, "hydra.sweeper.n_trials=2"]
    stopped = subprocess.run(
        search, cwd=tmp_path, env=os.environ | {ORDER: "stop 0 1", "PYTHONPATH": str(TESTS.parent)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip

    assert stopped.returncode == 130
    assert "Traceback" not in stopped.stderr
    assert "sweep: 0 done, 0 failed, 0 skipped, 2 left" in stopped.stderr
    assert "The search was stopped; the same command adds trials" in stopped.stderr
    (job,) = (tmp_path / "logs" / "sweeps" / "search").glob("*/job.json")
    assert json.loads(job.read_text())["state"] == "interrupted"
