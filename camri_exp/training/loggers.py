"""The loggers of a run: opened with a description of it, given its results, and closed in any case."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from camri_exp.data.base import ImageDataModule
from camri_exp.models.classifier import Classifier
from camri_exp.results import Predictions, RunResult
from camri_exp.tracking.base import ResultLogger, RunDescription


def describe(cfg: DictConfig, important_class_names: list[str]) -> RunDescription:
    """What loggers record of a run of this command at its start."""
    hydra_cfg = HydraConfig.get()
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    sweep_name = cfg.sweep.name if hydra_cfg.mode == RunMode.MULTIRUN else None
    return RunDescription(config, list(hydra_cfg.overrides.task), important_class_names, sweep_name)


@contextmanager
def opened(loggers: Sequence[Logger], description: RunDescription) -> Iterator[None]:
    """Open the loggers, and close those that need it, with exit code 1 where the block ends in an error."""
    exit_code = 1
    try:
        for logger in loggers:
            if isinstance(logger, ResultLogger):
                logger.start(description)
            else:
                logger.log_hyperparams(description.config)
        yield
        exit_code = 0
    finally:
        for logger in loggers:
            if isinstance(logger, ResultLogger):
                logger.close(exit_code)


def log_results(
    loggers: Sequence[Logger], result: RunResult, predictions: Predictions, data: ImageDataModule, model: Classifier
) -> None:
    """Give the loggers the results. These must be on disk already: no tracking service may cost them."""
    for logger in loggers:
        if isinstance(logger, ResultLogger):
            logger.log_results(result, predictions, data, model.loss.cpu().probabilities)
