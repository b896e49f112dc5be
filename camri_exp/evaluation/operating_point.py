"""The operating point: the bias added to the scores of the important classes, chosen on validation or promised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from camri_exp.errors import UserError
from camri_exp.evaluation.predictions import stored_splits
from camri_exp.evaluation.promise import CALIBRATION, Promise, promise
from camri_exp.evaluation.promise_text import class_sentence
from camri_exp.metrics import threshold
from camri_exp.metrics.tuned_threshold import tuned_threshold
from camri_exp.results import RunResult, SplitPredictions


@dataclass(frozen=True)
class OperatingPoint:
    """The bias of a deployed model, for all important classes or for each, and where it comes from, in words."""

    bias: threshold.Bias
    origin: str
    promise: Promise | None = None

    def __str__(self) -> str:
        biases = self.bias if isinstance(self.bias, Sequence) else [self.bias]
        return f"{', '.join(f'{bias:+.4g}' for bias in biases)} {self.origin}"


def operating_point_of(
    checkpoint: Path, bias: float | Literal["auto"], recall: float | None, confidence: float
) -> OperatingPoint:
    """The operating point that the user asks for: a promised ``recall``, the bias of validation (auto), or a number.

    Raises:
        UserError: both a recall and a number, or as ``bias_of_checkpoint`` and ``promise_of_checkpoint``.
    """
    if recall is None and bias == "auto":
        return OperatingPoint(bias_of_checkpoint(checkpoint), "(chosen on validation)")
    if recall is None:
        return OperatingPoint(float(bias), "(given)")
    if bias not in ("auto", 0):
        raise UserError(f"recall={recall} chooses the bias. Omit bias={bias}, or recall.")
    promised = promise_of_checkpoint(checkpoint, recall, confidence)
    origin = "(promised)" if promised.promised else "(an estimate on validation, not a promise)"
    return OperatingPoint(promised.biases, origin, promised)


def operating_point(val: SplitPredictions, important: Sequence[int]) -> threshold.Point | None:
    """The point of largest recall on the validation split that is shown to keep the accuracy; see ``tuned_threshold``.

    None where no bias can be chosen: all classes are important, or the validation split has no image of one of them.
    """
    if len(important) == val.scores.shape[1] or _absent(val, important):
        return None
    return tuned_threshold(val.scores, val.target, important)


def _absent(val: SplitPredictions, important: Sequence[int]) -> list[int]:
    """The important classes without validation images."""
    present = set(val.target.tolist())
    return [k for k in important if k not in present]


def bias_of_checkpoint(checkpoint: Path) -> float:
    """The bias of the operating point of the run that ``checkpoint`` belongs to.

    It is computed from the predictions that the run stored, so that the data is not needed.

    Raises:
        UserError: the checkpoint is not in a finished run, or the run stored the predictions of another checkpoint,
            or its validation split has no image of an important class.
    """
    result, stored = stored_by_run(checkpoint)
    val = stored["val"]
    if absent := _absent(val, result.important_class):
        names = ", ".join(result.class_names[k] for k in absent)
        raise UserError(
            f"no threshold could be chosen: the validation split of the run has no image of {names}. "
            "Give a number: bias=NUMBER"
        )
    point = operating_point(val, result.important_class)
    return 0.0 if point is None else point.bias


def promise_of_checkpoint(checkpoint: Path, recall: float, confidence: float) -> Promise:
    """The promise of ``recall``, or its estimate, from the predictions that the run of ``checkpoint`` stored.

    Raises:
        UserError: the images do not suffice for that recall, the checkpoint is not in a finished run, or the run stored
            the predictions of another checkpoint.
    """
    result, stored = stored_by_run(checkpoint)
    promised = promise(stored, result.important_class, result.class_names, recall, confidence)
    for own in promised.per_class:
        if not own.reached:
            raise UserError(class_sentence(promised, own))
    return promised


def review_band(checkpoint: Path, review: float | None, recall: float | None, confidence: float) -> Promise | None:
    """The promise of the recall 1 - ``review``, None without ``review``.

    At most that share of the important class is then neither found nor marked for review.

    Raises:
        UserError: ``recall`` already misses no more than ``review``, or as ``promise_of_checkpoint``.
    """
    if review is None:
        return None
    if recall is not None and recall >= 1 - review:
        raise UserError(
            f"review={review} leaves nothing to review with recall={recall}: expected less than 1 - recall."
        )
    return promise_of_checkpoint(checkpoint, 1 - review, confidence)


def stored_by_run(checkpoint: Path) -> tuple[RunResult, Mapping[str, SplitPredictions]]:
    """The result of the run of ``checkpoint``, and its stored predictions of validation, calibration and test images.

    Raises:
        UserError: the checkpoint is not in a finished run, or the run stored the predictions of another checkpoint.
    """
    run = checkpoint.resolve().parent.parent
    result = RunResult.of(run)
    if (run / result.checkpoint).resolve() != checkpoint.resolve():
        raise UserError(
            f"the predictions in {run} are those of {result.checkpoint}, not of {checkpoint.name}. "
            "Give that checkpoint, or a number: bias=NUMBER"
        )
    return result, stored_splits(run, result, "val", optional=[CALIBRATION, "test"])
