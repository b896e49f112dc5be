"""The operating point: the bias added to the scores of the important classes, chosen on validation."""

from collections.abc import Collection
from pathlib import Path

from camri_exp.errors import UserError
from camri_exp.evaluation.predictions import ModelPredictions, from_run
from camri_exp.metrics import threshold
from camri_exp.results import RunResult


def operating_point(predictions: ModelPredictions) -> threshold.Point | None:
    """The point of largest recall on the validation split without loss of accuracy there.

    None where no bias can be chosen: all classes are important, or the validation split is empty.
    """
    val = predictions.splits["val"]
    if len(predictions.important) == len(predictions.class_names) or not len(val):
        return None
    accuracy = float((val.scores.argmax(1) == val.target).mean())
    return threshold.keeping(threshold.curve(val.scores, val.target, predictions.important), accuracy)


def bias_of_checkpoint(checkpoint: Path, trusted: Collection[str] = ()) -> float:
    """The bias of the operating point of the run that ``checkpoint`` belongs to.

    It is computed from the predictions that the run stored, so that the data is not needed.

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
    point = operating_point(from_run(run, "val", trusted=trusted))
    return 0.0 if point is None else point.bias
