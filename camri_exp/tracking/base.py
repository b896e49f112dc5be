"""The interface of experiment trackers that log more than a Lightning logger does."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from torch import Tensor

from camri_exp.data.base import ImageDataModule
from camri_exp.evaluation.record import Evaluation
from camri_exp.results import Predictions, RunResult

Probabilities = Callable[[Tensor], Tensor]  # scores (n, K) to probabilities (n, K)


@dataclass(frozen=True)
class RunDescription:
    """What is known of a run at its start: the resolved config, the overrides of the command line, and names."""

    config: dict[str, Any]
    overrides: list[str]
    important_class_names: list[str]
    sweep_name: str | None = None


class ResultLogger(Logger):
    """A Lightning logger that is started with a description of the run, logs its results, and is always closed.

    Tracking never ends a run: an implementation catches and logs whatever its service raises.
    """

    @abstractmethod
    def start(self, description: RunDescription) -> None:
        """Open the run. It is called instead of Lightning's ``log_hyperparams``."""

    @abstractmethod
    def log_results(
        self, result: RunResult, predictions: Predictions, data: ImageDataModule, probabilities: Probabilities
    ) -> None:
        """Log the results of a finished run, which are on disk already."""

    @abstractmethod
    def log_evaluation(self, evaluation: Evaluation, figures: Sequence[Path]) -> None:
        """Log an evaluation and its figures."""

    @abstractmethod
    def close(self, exit_code: int) -> None:
        """Close the run; ``exit_code`` is 0 for a run that finished."""
