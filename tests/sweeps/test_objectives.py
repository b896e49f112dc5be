"""What a search maximises."""

import math
from pathlib import Path

import pytest

from camri_exp.results import RunResult
from camri_exp.sweeps.objectives import objectives
from tests.helpers.generated_runs import write_run


@pytest.mark.parametrize("min_accuracy", [None, 0.5])
def test_a_recall_that_is_not_known_is_no_objective(tmp_path: Path, min_accuracy: float | None) -> None:
    """Optuna refuses NaN, and ends the search; a trial without a value fails alone."""
    result = RunResult.of(write_run(tmp_path / "run", "ce", 0))
    assert objectives(result, min_accuracy) is not None
    object.__setattr__(result.val, "recall_important", math.nan)
    assert objectives(result, min_accuracy) is None
