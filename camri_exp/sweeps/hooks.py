"""Hydra callbacks around a multirun, for every sweeper and launcher."""

import atexit
import importlib.util
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from camri_exp.cli import fail
from camri_exp.sweeps.progress import SweepProgress


class SweepHooks(Callback):
    """Reports a missing extra; shows the progress of an Optuna search, whose jobs only Optuna knows, and its result."""

    def __init__(self) -> None:
        self.progress: SweepProgress | None = None

    def __reduce__(self) -> tuple[type["SweepHooks"], tuple[()]]:
        """Launchers pickle this for the processes of the jobs; the progress and its thread are left out."""
        return SweepHooks, ()

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        for part in ("launcher", "sweeper"):
            check_extra(config.hydra[part]._target_, f"hydra/{part}={config.hydra.runtime.choices[f'hydra/{part}']}")
        launch = config.sweep.launch  # resolved here once, so that all jobs see the same
        check_objective(config)
        if "n_trials" in config.hydra.sweeper:
            self.progress = SweepProgress(Path(config.hydra.sweep.dir), launch, None, config.hydra.sweeper.n_trials)
            self.progress.__enter__()
            atexit.register(self.on_stop)

    def on_stop(self) -> None:
        """Print the table of the trials where the search ends early: Optuna's sweeper does not handle Ctrl-C."""
        if self.progress is not None:
            self.progress.__exit__(None, None, None)
            print("The search was stopped; the same command adds trials to those it has.", file=sys.stderr)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        if self.progress is None:
            return
        atexit.unregister(self.on_stop)
        self.progress.__exit__(None, None, None)
        print(solutions(Path(config.hydra.sweep.dir), config.sweep.get("min_accuracy")))
        if self.progress.failed:
            sys.exit(1)


def check_extra(target: str, choice: str) -> None:
    try:
        is_installed = importlib.util.find_spec(target.rpartition(".")[0]) is not None
    except ModuleNotFoundError:
        is_installed = False
    if not is_installed:
        extra = choice.partition("=")[2].partition("_")[0]
        fail(f"{choice} needs an extra of this package: pip install 'camri_exp[{extra}]'")


def check_objective(config: DictConfig) -> None:
    """Check that a search for one objective has its constraint, and that no other search has it."""
    constrained = OmegaConf.select(config, "hydra.sweeper.direction") == "maximize"
    least = config.sweep.get("min_accuracy")
    if constrained and least is None:
        fail("hydra/sweeper=optuna_constrained needs the accuracy to keep: sweep.min_accuracy=0.97")
    if not constrained and least is not None:
        fail(f"sweep.min_accuracy={least} is for a search: add hydra/sweeper=optuna_constrained, or omit it.")


def solutions(folder: Path, min_accuracy: float | None) -> str:
    """The best trial of a constrained search, or the Pareto front."""
    if min_accuracy is None:
        return pareto_front(folder)
    found = OmegaConf.load(folder / "optimization_results.yaml")
    overrides = " ".join(f"{key}={value}" for key, value in found.best_params.items())
    if found.best_value < 0:
        short = f"its validation accuracy is {-100 * found.best_value:.2f} pp below that"
        return f"no trial of {folder} has a validation accuracy of {min_accuracy:g}; nearest, {short}: {overrides}"
    return (
        f"best trial of {folder}: val recall {found.best_value:.4f} at accuracy {min_accuracy:g} or more: {overrides}"
    )


def pareto_front(folder: Path) -> str:
    """The trials that no other trial beats in both objectives, the most accurate first."""
    solutions = OmegaConf.load(folder / "optimization_results.yaml").solutions
    lines = [f"Pareto front of {folder}:", f"{'val accuracy':>13}{'val recall':>12}  overrides"]
    for trial in sorted(solutions, key=lambda trial: -trial["values"][0]):
        accuracy, recall = trial["values"]
        lines.append(
            f"{accuracy:13.4f}{recall:12.4f}  {' '.join(f'{key}={value}' for key, value in trial.params.items())}"
        )
    return "\n".join(lines)


class DrawFeatures(Callback):
    """Draws ``features.png`` when a sweep ends: a circle for each run with two-dimensional features."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        from camri_exp.evaluation.plots import circle
        from camri_exp.evaluation.predictions import from_run
        from camri_exp.figures import style
        from camri_exp.figures.feature_circle import features_on_circles
        from camri_exp.results import RESULT, RunResult

        folder = Path(config.hydra.sweep.dir)
        runs = sorted((path.parent for path in folder.glob(f"*/{RESULT}")), key=lambda run: run.stat().st_ctime)
        overrides = [RunResult.of(run).overrides for run in runs]
        same = set.intersection(*map(set, overrides)) if len(runs) > 1 else set()
        labels = [", ".join(text for text in run if text not in same) for run in overrides]
        drawn = [circle(from_run(run, "test"), "test", label) for run, label in zip(runs, labels, strict=True)]
        circles = [model for model in drawn if model is not None]
        if not circles:
            return
        style.save(features_on_circles(circles), folder / "features.png")
        print("angle from the important class's weight to the nearest other one:")
        for model in circles:
            print(f"  {model.label}: {', '.join(model.describe())}")
        print(f"figure: {folder / 'features.png'}")
