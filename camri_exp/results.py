"""What a run leaves on disk, as typed records. Reports, evaluation and dashboards need nothing else."""

import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from camri_exp.errors import UserError
from camri_exp.files import atomic_write
from camri_exp.records import Number, Record

RESULT, JOB, FAILURE, PREDICTIONS = "result.json", "job.json", "failure.json", "predictions.npz"
ADVICE = "Copy it again, or evaluate the run's checkpoint instead: checkpoint=PATH"
# What NumPy raises for files that are damaged, are no archives, or hold objects (seen with mutated files).
REFUSED = (
    OSError, ValueError, EOFError, RuntimeError, SyntaxError, TypeError, MemoryError, TokenError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class SplitMetrics:
    """The metrics of one split, from its confusion matrix; ``recall`` maps each class name to its recall.

    ``recall_rare`` is the mean recall of the third of the classes with the fewest training images; None where no class
    has twice as many as another, or in results of earlier versions.
    """

    accuracy: Number
    recall_important: Number
    precision_important: Number
    macro_recall: Number
    recall: dict[str, Number]
    recall_rare: Number | None = None

    LOGGED: ClassVar[tuple[str, ...]] = ("accuracy", "recall_important", "precision_important", "macro_recall")

    def logged(self, split: str, angles: Mapping[str, float] = MappingProxyType({})) -> dict[str, float]:
        """What loggers and callbacks get of ``split``: ``LOGGED``, the summary of ``angles``, and recall by class."""
        by_class = {f"recall/{name}": value for name, value in self.recall.items()}
        values = {**{name: getattr(self, name) for name in self.LOGGED}, **angles, **by_class}
        return {f"{split}/{name}": value for name, value in values.items()}


@dataclass(frozen=True)
class AngleStatistics:
    """Number, mean and variance (radians) of the angles between features and their own class's weight, per class."""

    count: list[int]
    mean: list[Number]
    variance: list[Number]


@dataclass(frozen=True, kw_only=True)
class RunResult(Record):
    """``result.json`` of a finished run: written last and atomically, so that its presence means the run is finished.

    ``setting`` is equal for runs that differ by the seed, or the fold of a cross-validation, alone. A ``class_free``
    run does not depend on which class is important: its recalls count for every class. ``data_fingerprint`` is a hash
    of the test images. ``checkpoint`` is relative to the run's folder. ``stacked`` is the number of runs that were
    trained as one program with this one, each of which has its share of the seconds.
    """

    status: str = "finished"
    data: str
    loss: str
    model: str
    seed: int
    important_class: list[int]
    important_class_names: list[str]
    class_names: list[str]
    overrides: list[str]
    config_hash: str
    setting: str
    class_free: bool
    data_fingerprint: str | None = None
    folds: int | None = None
    fold: int | None = None
    loss_parameters: dict[str, Any]
    val: SplitMetrics
    calibration: SplitMetrics | None = None
    test: SplitMetrics
    angles: AngleStatistics | None = None
    epochs: int
    fit_seconds: Number
    images_per_second: Number
    checkpoint: str
    parameters: int
    hardware: str
    stacked: int | None = None

    @classmethod
    def of(cls, run: Path) -> "RunResult":
        """The result of the run in the folder ``run``.

        Raises:
            UserError: no finished run there, or its ``result.json`` is damaged.
        """
        path = Path(run) / RESULT
        if not path.is_file():
            raise UserError(f"{run} holds no {RESULT}: not the folder of a finished run.")
        return cls.read(path)._checked(path)

    @property
    def repetition(self) -> int:
        """A number that runs of one setting differ by: the seed s, in a cross-validation s folds + fold."""
        return self.seed if self.folds is None else self.seed * self.folds + (self.fold or 0)

    def _checked(self, where: Path) -> "RunResult":
        """The record itself, where the classes of its fields fit together, which their types alone do not show."""
        count = len(self.class_names)
        if not self.important_class or not all(0 <= k < count for k in self.important_class):
            raise UserError(f"{where} is damaged: important_class: expected ids of the {count} classes.")
        for split in ("val", "test") if self.calibration is None else ("val", "calibration", "test"):
            if not set(self.class_names) <= set(self.metrics(split).recall):
                raise UserError(f"{where} is damaged: {split}.recall: expected a value for each class.")
        if self.angles is not None and len(self.angles.variance) != count:
            raise UserError(f"{where} is damaged: angles.variance: expected {count} values, one per class.")
        return self

    def metrics(self, split: str) -> SplitMetrics:
        """The metrics of ``val``, ``test`` or, where the run has it, ``calibration``."""
        found = {"val": self.val, "calibration": self.calibration, "test": self.test}[split]
        if found is None:
            raise UserError(f"the run has no {split} split. Train one with data.calibration_fraction=0.1")
        return found


@dataclass(frozen=True, kw_only=True)
class JobRecord(Record):
    """``job.json``: the last start of a job of a sweep.

    ``launch`` identifies one start of the sweep, ``attempt`` counts the starts of the job in it, and ``skipped`` is the
    start of the sweep that found the job done.
    """

    launch: str = ""
    attempt: int = 1
    state: str = "interrupted"
    started: Number = 0.0
    host: str = ""
    pid: int = 0
    gpus: str | None = None
    config_hash: str | None = None
    seconds: Number | None = None
    skipped: str | None = None


@dataclass(frozen=True, kw_only=True)
class FailureRecord(Record):
    """``failure.json``: why a job failed."""

    status: str = "failed"
    error: str = ""


@dataclass(frozen=True)
class SplitPredictions:
    """A model's predictions for the images of one split, in the order of the split.

    ``scores`` (n, K), ``target`` (n,), ``names`` (n,), and ``groups`` (n,) where it is known which images belong
    together. ``angle`` (n,) in radians, to the weight of the own class, exists for cosine heads.
    """

    scores: npt.NDArray[Any]
    target: npt.NDArray[Any]
    names: npt.NDArray[Any]
    groups: npt.NDArray[Any] | None = None
    angle: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.target)

    def arrays(self, split: str) -> dict[str, npt.NDArray[Any]]:
        """The arrays of ``predictions.npz`` that hold this split."""
        found = {"scores": self.scores, "target": self.target, "name": self.names}
        optional = {"group": self.groups, "angle": self.angle}
        found |= {key: value for key, value in optional.items() if value is not None}
        return {f"{split}_{key}": value for key, value in found.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], split: str) -> "SplitPredictions":
        """The predictions of ``split`` in the arrays of ``predictions.npz``."""
        target = arrays[f"{split}_target"]
        names = arrays.get(f"{split}_name", np.arange(len(target)).astype(str))
        group, angle = arrays.get(f"{split}_group"), arrays.get(f"{split}_angle")
        return cls(arrays[f"{split}_scores"], target, names, group, angle)


Predictions = dict[str, SplitPredictions]


def write_predictions(path: Path, predictions: Mapping[str, SplitPredictions]) -> None:
    """Write ``predictions.npz`` atomically."""
    arrays = {name: array for split, found in predictions.items() for name, array in found.arrays(split).items()}
    with atomic_write(path, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_predictions(path: Path, names: Collection[str] | None = None) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a ``predictions.npz``, or those of ``names`` that it has.

    Raises:
        UserError: a file that is damaged, or holds more than numbers and text.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if names is None or name in names}
    except REFUSED as error:
        raise UserError(f"{path} was refused: it is damaged, or holds more than numbers and text. {ADVICE}") from error


def check_predictions(arrays: Mapping[str, npt.NDArray[Any]], classes: int, path: Path) -> None:
    """Check that the arrays of a ``predictions.npz`` fit together and to the number of classes.

    Raises:
        UserError: a split whose arrays have other shapes or types than ``SplitPredictions``.
    """
    for split in {name.partition("_")[0] for name in arrays if name.endswith("_target")}:
        parts = [array for name, array in arrays.items() if name.startswith(f"{split}_")]
        target = arrays[f"{split}_target"]
        scores = arrays.get(f"{split}_scores", np.zeros((*target.shape, classes)))
        whole = target.dtype.kind in "iu" and scores.dtype.kind == "f" and scores.shape == (target.size, classes)
        if not whole or any(a.shape[:1] != target.shape for a in parts) or not set(target.flat) <= set(range(classes)):
            raise UserError(f"{path} is damaged: the arrays of {split} do not fit {classes} classes. {ADVICE}")
