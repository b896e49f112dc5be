"""What a screen prints at its end: the report and the command that proves it, or the recall of every class."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from camri_exp.cli import CONFIGS
from camri_exp.errors import UserError
from camri_exp.metrics.intervals import wilson
from camri_exp.reporting.collect import collect
from camri_exp.reporting.grouping import Configuration
from camri_exp.reporting.ranking import mean_recalls
from camri_exp.reporting.runs import Run
from camri_exp.reporting.selection import Protocol, TaskComparison, compare_methods, keeps_accuracy, rank
from camri_exp.reporting.write import write
from camri_exp.results import RunResult, read_predictions
from camri_exp.sweeps.grid import ONLY

BEST = 5
SEEDS = "seed=range(5)"
HONEST = (
    "These are heads on fixed features. A head cannot move the features, which is what a margin is said to do when the "
    "whole network is trained, so a loss may gain less or more there."
)
# Overrides that the commands replace.
REPLACED = ("experiment", "model.frozen", "sweep", "hydra", "loss", "seed", "important_class", "trainer", "scheduler")


class Screen(Callback):
    """Ends a screen with its report, or where no class is important with the recall of every class."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        folder, given = Path(config.hydra.sweep.dir), list(config.hydra.overrides.task)
        runs = collect([folder]).runs
        if not runs:
            return
        try:
            if is_chosen(config):
                print(report(folder))
                print(proof(compare_methods(runs, Protocol()), given))
            else:
                print(weakest(runs, given, config.sweep.ranked_by))
        except UserError as error:
            print(f"no report: {error}", file=sys.stderr)


def is_chosen(config: DictConfig) -> bool:
    """Whether the command, or the data set, says which class is important."""
    return config.important_class is not None or config.data.get("important_class") is not None


def report(folder: Path) -> str:
    """Write the report on the sweep in ``folder``; returns the text to print."""
    names = OmegaConf.load(CONFIGS / "report.yaml").names
    return write([folder], folder / "report", Protocol(), {str(k): str(v) for k, v in names.items()})


def weakest(runs: Sequence[Run], given: Sequence[str], loss: str) -> str:
    """The recall of each class on validation, lowest first, and the command to screen for the weakest class.

    The folder may have runs of another screen, for a class; the runs of ``loss`` alone count, where there are any.
    """
    runs = [run for run in runs if run.loss == loss] or runs
    recalls, counts = mean_recalls(runs), _images(runs[0])
    order = np.argsort(np.where(counts > 0, recalls, np.inf), kind="stable")
    width = max(map(len, runs[0].class_names))
    lines = [f"Recall per class on validation: mean of {len(runs)} runs with {runs[0].loss}, 95 % CI for new images."]
    for k in order:
        interval = wilson(round(float(np.nan_to_num(recalls[k]) * counts[k])), int(counts[k]))
        limits = f"{recalls[k]:.3f} ({interval.low:.3f} to {interval.high:.3f})" if counts[k] else "no image"
        lines.append(f"  {runs[0].class_names[k]:{width}}  {limits}, n = {counts[k]}")
    name = runs[0].class_names[order[0]]
    command = shlex.join([*_kept(given, ("important_class", "sweep.name")), f"important_class={name}"])
    lines += [f"Which class matters is for you to say. The weakest is {name}; to screen losses for it:"]
    return "\n".join([*lines, f"  python -m camri_exp.train -m {command}"])


def _images(run: Run) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """The number of validation images of each class."""
    target = read_predictions(run.folder / "predictions.npz", ["val_target"])["val_target"]
    return np.bincount(target, minlength=len(run.class_names))


def proof(comparisons: Sequence[TaskComparison], given: Sequence[str]) -> str:
    """The command that trains the whole network with the best settings of a screen and the baseline, and its report."""
    lines = [HONEST]
    for comparison in comparisons:
        settings = best_settings(comparison)
        if not settings:
            lines.append(
                f"No setting keeps the accuracy of {comparison.baseline.method} for {comparison.task.classes}."
            )
            continue
        baseline = comparison.baseline.configuration
        assert baseline is not None
        losses = grid([_loss(configuration) for configuration in (baseline, *settings)])
        common = _kept(given, REPLACED)
        common += [] if any(item.startswith("data=") for item in common) else ["data=folder"]
        chosen = [item for item in given if item.startswith("important_class=")]
        arguments = [*common, *chosen, *losses, SEEDS, "sweep.name=screen_proof", "logger=none"]
        lines.append(f"To train the whole network with {comparison.baseline.method} and the best {len(settings)}:")
        lines.append(f"  python -m camri_exp.train -m {shlex.join(dict.fromkeys(arguments))}")
        lines.append("  python -m camri_exp.report sweep=logs/sweeps/screen_proof")
    return "\n".join(lines)


def best_settings(comparison: TaskComparison) -> list[Configuration]:
    """The candidates with the highest recall on validation that keep the accuracy of the baseline, best first."""
    baseline, protocol = comparison.baseline.configuration, Protocol()
    if baseline is None:
        return []
    accurate = [c for c in comparison.candidates if keeps_accuracy(c, baseline, protocol)]
    return sorted(accurate, key=lambda c: rank(c, baseline, protocol.split), reverse=True)[:BEST]


def grid(settings: Sequence[Sequence[str]]) -> list[str]:
    """The overrides of one sweep that has these settings: for each loss the product of the values that it has in them.

    Args:
        settings: the overrides of each, ``["loss=camri", "loss.margin=0.1"]``.
    """
    values: dict[str, dict[str, list[str]]] = {}
    for overrides in settings:
        (loss,) = (item.removeprefix("loss=") for item in overrides if item.startswith("loss="))
        own = values.setdefault(loss, {})
        for key, _, value in (item.partition("=") for item in overrides if item.startswith("loss.")):
            own.setdefault(key, []).append(value)
    only = [(loss, key, dict.fromkeys(found)) for loss, own in values.items() for key, found in own.items()]
    return [f"loss={','.join(values)}", *(f"{ONLY}{loss}.{key}={','.join(found)}" for loss, key, found in only)]


def _loss(configuration: Configuration) -> list[str]:
    """The overrides of the loss of a configuration."""
    overrides = RunResult.of(next(iter(configuration.runs.values())).folder).overrides
    return [item for item in overrides if item.startswith(("loss=", "loss."))]


def _kept(given: Sequence[str], replaced: Sequence[str]) -> list[str]:
    """The overrides of a command line but for the keys, or groups of keys, that are replaced."""
    return [
        item
        for item in given
        if not any(item.lstrip("+~").startswith((f"{key}=", f"{key}.", f"{key}/")) for key in replaced)
    ]
