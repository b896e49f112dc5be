"""The operating point: the bias added to the scores of the important classes, chosen on validation."""

from collections.abc import Sequence
from pathlib import Path

from camri_exp.errors import UserError
from camri_exp.evaluation.predictions import stored_splits
from camri_exp.metrics import threshold
from camri_exp.results import RunResult, SplitPredictions


def operating_point(val: SplitPredictions, important: Sequence[int]) -> threshold.Point | None:
    """The point of largest recall on the validation split without loss of accuracy there.

    None where no bias can be chosen: all classes are important, or the validation split has no image of one of them.
    """
    if len(important) == val.scores.shape[1] or _absent(val, important):
        return None
    return threshold.tuned(val.scores, val.target, important)


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
    run = checkpoint.resolve().parent.parent
    result = RunResult.of(run)
    if (run / result.checkpoint).resolve() != checkpoint.resolve():
        raise UserError(
            f"the predictions in {run} are those of {result.checkpoint}, not of {checkpoint.name}. "
            "Give that checkpoint, or a number: bias=NUMBER"
        )
    val = stored_splits(run, result, "val")["val"]
    if absent := _absent(val, result.important_class):
        names = ", ".join(result.class_names[k] for k in absent)
        raise UserError(
            f"no threshold could be chosen: the validation split of {run} has no image of {names}. "
            "Give a number: bias=NUMBER"
        )
    point = operating_point(val, result.important_class)
    return 0.0 if point is None else point.bias
