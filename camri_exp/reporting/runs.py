"""One finished run, and what a report reads of its predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camri_exp.errors import UserError
from camri_exp.results import PREDICTIONS, AngleStatistics, SplitMetrics, check_predictions, read_predictions


@dataclass(frozen=True)
class ImportantHits:
    """Which test images of important classes a run found: ``hit``, ``target``, ``names`` and ``groups``, all (n,).

    ``groups`` is None where it is not known which images belong together; ``group_size`` is then the mean size of the
    groups of validation, if these are known.
    """

    hit: npt.NDArray[Any]
    target: npt.NDArray[Any]
    names: npt.NDArray[Any]
    groups: npt.NDArray[Any] | None = None
    group_size: float | None = None

    def same_images(self, other: "ImportantHits") -> bool:
        return np.array_equal(self.target, other.target) and np.array_equal(self.names, other.names)


@dataclass(frozen=True)
class Run:
    """One finished run, from its ``result.json``.

    Two runs have the same ``setting`` exactly when they differ by the seed alone, which counts the folds too. A
    ``class_free`` run does not depend on which class is important: its recalls count for every class. ``overrides``
    are those that distinguish configurations.
    """

    folder: Path
    data: str
    model: str
    loss: str
    seed: int
    important: tuple[int, ...]
    class_names: tuple[str, ...]
    setting: str
    class_free: bool
    parameters: Mapping[str, Any]
    overrides: tuple[str, ...]
    metrics: Mapping[str, SplitMetrics]
    fit_seconds: float
    angles: AngleStatistics | None = None
    data_fingerprint: str | None = None
    fold: int | None = None
    damaged: list[str] = field(default_factory=list, compare=False)  # messages on files that were read later

    def accuracy(self, split: str) -> float:
        return self.metrics[split].accuracy

    def recall(self, split: str, important: Sequence[int]) -> float:
        """Mean recall over the classes ``important``; NaN if one of them has no images."""
        recalls = self.metrics[split].recall
        if len(important) == 1:  # np.mean is slow, and reports ask for each run many times
            return recalls[self.class_names[important[0]]]
        return float(np.mean([recalls[self.class_names[i]] for i in important]))

    def important_hits(self, important: Sequence[int]) -> ImportantHits | None:
        """Which test images of the classes ``important`` were found; None without predictions."""
        arrays = self.predictions("test_scores", "test_target")
        if arrays is None:
            return None
        inside = np.isin(arrays[1], list(important))
        target = arrays[1][inside]
        names, groups, val = (self.predictions(name) for name in ("test_name", "test_group", "val_group"))
        return ImportantHits(
            arrays[0][inside].argmax(1) == target,
            target,
            np.arange(len(target)) if names is None else names[0][inside],
            None if groups is None else groups[0][inside],
            None if val is None or not len(val[0]) else len(val[0]) / len(np.unique(val[0])),
        )

    def predictions(self, *names: str) -> list[npt.NDArray[Any]] | None:
        """Arrays of ``predictions.npz`` by name; None if the file or one of them is missing or damaged."""
        arrays = self.stored(*names)
        return [arrays[name] for name in names] if set(names) <= set(arrays) else None

    def stored(self, *names: str) -> dict[str, npt.NDArray[Any]]:
        """Those of these arrays that ``predictions.npz`` has; none if the file is missing or damaged.

        A message on a damaged file is added to ``damaged``. The arrays are read at each call and not kept, so that the
        memory of a report does not grow with the number of runs.
        """
        path = self.folder / PREDICTIONS
        if not path.is_file():
            return {}
        try:
            arrays = read_predictions(path, names)
            check_predictions(arrays, len(self.class_names), path)
        except UserError as error:
            if str(error) not in self.damaged:
                self.damaged.append(str(error))
            return {}
        return arrays
