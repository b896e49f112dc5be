"""The operating point: the bias added to the scores of the important classes, chosen on validation."""

from collections.abc import Collection
from pathlib import Path

from camri_exp.errors import UserError
from camri_exp.evaluation.predictions import ModelPredictions, from_run
from camri_exp.metrics import threshold
from camri_exp.results import RunResult


def operating_point(predictions: ModelPredictions) -> threshold.Point | None:
    """The point of largest recall on the validation split without loss of accuracy there.

    None where no bias can be chosen: all classes are important, or the validation split has no image of one of them.
    """
    val = predictions.splits["val"]
    if len(predictions.important) == len(predictions.class_names) or _absent(predictions):
        return None
    accuracy = float((val.scores.argmax(1) == val.target).mean())
    return threshold.keeping(threshold.curve(val.scores, val.target, predictions.important), accuracy)


def _absent(predictions: ModelPredictions) -> list[str]:
    """The important classes without validation images."""
    present = set(predictions.splits["val"].target.tolist())
    return [predictions.class_names[k] for k in predictions.important if k not in present]


def bias_of_checkpoint(checkpoint: Path, trusted: Collection[str] = ()) -> float:
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
    predictions = from_run(run, "val", trusted=trusted)
    if absent := _absent(predictions):
        raise UserError(
            f"no threshold could be chosen: the validation split of {run} has no image of {', '.join(absent)}. "
            "Give a number: bias=NUMBER"
        )
    point = operating_point(predictions)
    return 0.0 if point is None else point.bias
