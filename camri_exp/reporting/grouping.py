"""From runs to configurations: a *configuration* is all runs that differ by the seed alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from camri_exp.reporting.runs import Run


@dataclass(frozen=True)
class Configuration:
    """Runs by seed that differ in nothing else, evaluated for the classes ``important``.

    ``label`` distinguishes the configuration from others of the same loss.
    """

    loss: str
    label: str
    parameters: Mapping[str, Any]
    runs: Mapping[int, Run]
    important: tuple[int, ...]
    _recalls: dict[str, dict[int, float]] = field(default_factory=dict, repr=False, compare=False)  # a cache

    def recall(self, split: str) -> dict[int, float]:
        """Mean recall of the important classes, by seed."""
        if split not in self._recalls:
            self._recalls[split] = {seed: run.recall(split, self.important) for seed, run in self.runs.items()}
        return self._recalls[split]

    def accuracy(self, split: str) -> dict[int, float]:
        """Accuracy by seed."""
        return {seed: run.accuracy(split) for seed, run in self.runs.items()}


def configurations_of(runs: Iterable[Run], important: tuple[int, ...]) -> list[Configuration]:
    """The runs grouped by configuration, sorted by loss, then by parameters."""
    groups: dict[tuple[str, str], dict[int, Run]] = defaultdict(dict)
    for run in runs:
        groups[run.loss, run.setting].setdefault(run.seed, run)
    by_loss = defaultdict(list)
    for (loss, _), members in groups.items():
        by_loss[loss].append(members)
    configurations = [
        Configuration(loss, label, next(iter(members.values())).parameters, members, important)
        for loss, group in by_loss.items()
        for label, members in zip(_labels([next(iter(members.values())) for members in group]), group, strict=True)
    ]
    return sorted(configurations, key=_sort_key)


def _sort_key(configuration: Configuration) -> tuple[Any, ...]:
    """Numbers by size, before text."""
    values = [
        (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))
        for value in configuration.parameters.values()
    ]
    return configuration.loss, values, configuration.label


def _labels(runs: Sequence[Run]) -> list[str]:
    """A label for each configuration of one loss: its numeric parameters, and everything else that differs."""
    shared = set.intersection(*(set(_words(run)) for run in runs))
    numeric = {key for run in runs for key, value in run.parameters.items() if type(value) in (int, float)}
    kept = [[word for word in _words(run) if word not in shared or word.split("=")[0] in numeric] for run in runs]
    return [", ".join(words) or "default" for words in kept]


def _words(run: Run) -> list[str]:
    parameters = [
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in run.parameters.items()
    ]
    return parameters + list(run.overrides)


def mean(values: Mapping[int, float]) -> float:
    return float(np.mean(list(values.values())))
