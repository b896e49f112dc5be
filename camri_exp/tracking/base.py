"""What an experiment tracker may offer beyond a Lightning logger."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from torch import Tensor

from camri_exp.results import Predictions, RunResult


@dataclass(frozen=True)
class RunDescription:
    """What is known of a run at its start: the resolved config, the command line's overrides, and its names."""

    config: dict[str, Any]
    overrides: list[str]
    important_class_names: list[str]
    sweep_name: str | None = None


class ResultLogger(Logger):
    """A Lightning logger that opens with a description of the run, takes its results, and is closed in any case.

    Tracking never ends a run: an implementation catches and logs whatever its service raises.
    """

    @abstractmethod
    def start(self, description: RunDescription) -> None:
        """Open the run. Lightning's ``log_hyperparams`` is not called."""

    @abstractmethod
    def log_results(
        self, result: RunResult, predictions: Predictions, data: Any, probabilities: Callable[[Tensor], Tensor]
    ) -> None:
        """Log the results of a finished run, which are on disk already."""

    @abstractmethod
    def log_evaluation(self, evaluation: Any, figures: Sequence[Path]) -> None:
        """Log the record of an evaluation and its figures."""

    @abstractmethod
    def close(self, exit_code: int) -> None:
        """Close the run, with 0 for a run that finished."""
