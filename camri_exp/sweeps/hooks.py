"""What happens around a multirun, whichever sweeper and launcher it uses."""

import importlib.util
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from camri_exp.cli import fail
from camri_exp.sweeps.progress import SweepProgress


class Sweep(Callback):
    """Says which extra is missing; watches sweeps whose jobs only Optuna knows, and prints what it found."""

    def __init__(self) -> None:
        self.watch: SweepProgress | None = None

    def __reduce__(self) -> tuple[type["Sweep"], tuple[()]]:
        """Launchers send this to the jobs' processes; the watch, with its thread and screen, stays behind."""
        return Sweep, ()

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        for part in ("launcher", "sweeper"):
            check_extra(config.hydra[part]._target_, f"hydra/{part}={config.hydra.runtime.choices[f'hydra/{part}']}")
        launch = config.sweep.launch  # resolved here once, so that all jobs see the same
        if "n_trials" in config.hydra.sweeper:
            self.watch = SweepProgress(Path(config.hydra.sweep.dir), launch, None, config.hydra.sweeper.n_trials)
            self.watch.__enter__()
            sys.excepthook = self.on_uncaught

    def on_uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Ctrl-C, which Optuna's sweeper lets through, ends in the table of the trials."""
        if self.watch is None or not issubclass(kind, KeyboardInterrupt):
            return sys.__excepthook__(kind, error, trace)
        self.watch.__exit__(None, None, None)
        print("The search was stopped; the same command adds trials to those it has.", file=sys.stderr)
        sys.exit(130)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        if self.watch is None:
            return
        sys.excepthook = sys.__excepthook__
        self.watch.__exit__(None, None, None)
        print(pareto_front(Path(config.hydra.sweep.dir)))
        if self.watch.failed:
            sys.exit(1)


def check_extra(target: str, choice: str) -> None:
    module = target.rpartition(".")[0]
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        fail(f"{choice} needs an extra of this package: pip install 'camri_exp[{choice.partition('=')[2]}]'")


def pareto_front(folder: Path) -> str:
    """The trials that no other one beats in both objectives, the most accurate first."""
    solutions = OmegaConf.load(folder / "optimization_results.yaml").solutions
    lines = [f"Pareto front of {folder}:", f"{'val accuracy':>13}{'val recall':>12}  overrides"]
    for one in sorted(solutions, key=lambda one: -one["values"][0]):
        accuracy, recall = one["values"]
        lines.append(
            f"{accuracy:13.4f}{recall:12.4f}  {' '.join(f'{key}={value}' for key, value in one.params.items())}"
        )
    return "\n".join(lines)
