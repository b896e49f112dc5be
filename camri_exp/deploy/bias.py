"""The threshold chosen on validation: the constant that is added to the important classes' scores."""

from pathlib import Path

from camri_exp.errors import UserError
from camri_exp.evaluation.measure import operating_point
from camri_exp.evaluation.subject import finished, from_run


def chosen_bias(checkpoint: Path) -> float:
    """The bias of the largest validation recall that costs the model no validation accuracy.

    It comes from the predictions that the run kept, so neither the data nor a pass over it is needed.

    Raises:
        UserError: the checkpoint does not lie in a finished run, or the run kept the predictions of another one.
    """
    run = checkpoint.resolve().parent.parent
    result = finished(run)
    if (run / result["checkpoint"]).resolve() != checkpoint.resolve():
        raise UserError(
            f"the predictions kept in {run} are those of {result['checkpoint']}, not of {checkpoint.name}. Give that "
            "checkpoint, or a number: bias=NUMBER"
        )
    point = operating_point(from_run(run, "val"))
    return 0.0 if point is None else point.bias
