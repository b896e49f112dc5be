"""From runs to settings: a *setting* is all runs that differ by nothing but the seed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from camri_exp.reporting.collect import Run


@dataclass(frozen=True)
class Configuration:
    """Runs by seed that differ by nothing else, as seen in one case; ``label`` tells it from its loss's others."""

    loss: str
    label: str
    parameters: Mapping[str, Any]
    runs: Mapping[int, Run]
    important: tuple[int, ...]

    def recall(self, split: str) -> dict[int, float]:
        return {seed: run.recall(split, self.important) for seed, run in self.runs.items()}

    def accuracy(self, split: str) -> dict[int, float]:
        return {seed: run.accuracy(split) for seed, run in self.runs.items()}


def configurations_of(runs: Iterable[Run], important: tuple[int, ...]) -> list[Configuration]:
    """The runs grouped by setting, losses and settings in order of their names."""
    groups: dict[tuple[str, str], dict[int, Run]] = defaultdict(dict)
    for run in runs:
        groups[run.loss, run.setting].setdefault(run.seed, run)
    of_loss = defaultdict(list)
    for (loss, _), members in groups.items():
        of_loss[loss].append(members)
    settings = [
        Configuration(loss, label, next(iter(members.values())).parameters, members, important)
        for loss, group in of_loss.items()
        for label, members in zip(_labels([next(iter(members.values())) for members in group]), group, strict=True)
    ]
    return sorted(settings, key=_place)


def _place(setting: Configuration) -> tuple[Any, ...]:
    return setting.loss, [_natural(value) for value in setting.parameters.values()], setting.label


def _natural(value: Any) -> tuple[int, float, str]:
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))


def _labels(runs: Sequence[Run]) -> list[str]:
    """What tells the settings of one loss apart: its numbers, and whatever else differs between them."""
    shared = set.intersection(*(set(_words(run)) for run in runs))
    numbers = {key for run in runs for key, value in run.parameters.items() if type(value) in (int, float)}
    kept = [[word for word in _words(run) if word not in shared or word.split("=")[0] in numbers] for run in runs]
    return [", ".join(words) or "default" for words in kept]


def _words(run: Run) -> list[str]:
    own = [
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in run.parameters.items()
    ]
    return own + list(run.overrides)


def mean(values: Mapping[int, float]) -> float:
    return float(np.mean(list(values.values())))
