"""One run, from the composed config to ``result.json``."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from camri_exp import identity
from camri_exp.data.base import ImageDataModule
from camri_exp.data.factory import build_datamodule, important_class_ids
from camri_exp.errors import UserError
from camri_exp.files import atomic_write, display_path
from camri_exp.models.backbone_file import bundle
from camri_exp.models.checkpoint import load_state, read_checkpoint
from camri_exp.models.classifier import Classifier
from camri_exp.models.factory import build_classifier, build_feature_classifier
from camri_exp.models.frozen import use_features
from camri_exp.models.metadata import ModelMetadata, metadata_of
from camri_exp.models.preprocessing import adopt_preprocessing
from camri_exp.results import PREDICTIONS, RESULT, RunResult, write_predictions
from camri_exp.signals import exit_code
from camri_exp.stored_config import CONFIG
from camri_exp.training.callbacks import CollectPredictions, RebaseCheckpointPaths, ReseedEachEpoch
from camri_exp.training.checks import check_trainer
from camri_exp.training.console import print_result
from camri_exp.training.data_checks import check_mixing, check_same_data, report_important_classes
from camri_exp.training.factory import (
    build_callbacks,
    build_loggers,
    build_optimizer,
    build_scheduler,
    build_trainer,
)
from camri_exp.training.loggers import describe, log_results, opened
from camri_exp.training.loss_callbacks import loss_callbacks
from camri_exp.training.result import Training, hardware, run_result
from camri_exp.training.resume import finished_result, resumed_config
from camri_exp.training.warnings import ignore_known_warnings

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> RunResult:
    """Train, test the chosen checkpoint and write the run's files; returns the content of ``result.json``.

    Raises:
        UserError: whatever the user can fix, from a class that does not exist to a loss that became NaN.
    """
    ignore_known_warnings()
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    if cfg.resume is not None:
        cfg = resumed_config(cfg, run_dir)
        if (finished := finished_result(cfg, run_dir)) is not None:
            print(f"{run_dir} is already finished; a larger trainer.max_epochs resumes it.")
            print_result(finished, run_dir)
            return finished

    data, model = prepared(cfg)
    own = identity.identity_of(cfg, model.needs)
    OmegaConf.update(cfg, "identity", asdict(own), force_add=True)
    _write_config(cfg, run_dir)
    _bundle(cfg, model, run_dir)

    predictions, loggers, of_loss = CollectPredictions(), build_loggers(cfg), loss_callbacks(cfg, model.loss)
    with opened(loggers, describe(cfg, model.metadata.important_class_names)):
        trainer = build_trainer(cfg, run_dir, [*callbacks_of(cfg, predictions), *of_loss], loggers)
        check_trainer(cfg, trainer)
        with _stoppable(trainer, run_dir):
            seconds = _fit(cfg, trainer, model, data, run_dir)
            epochs = trainer.current_epoch
            checkpoint = _evaluate(cfg, trainer, model, data, run_dir)
        training = Training(
            epochs=epochs,
            seconds=seconds,
            images_per_second=model.meter.images_per_second * trainer.world_size,
            hardware=hardware(trainer.strategy.root_device, trainer.world_size),
        )
        result = run_result(cfg, model, data, predictions.splits, own, training, checkpoint)
        if trainer.is_global_zero:
            write_predictions(run_dir / PREDICTIONS, predictions.splits)
            result.write(run_dir / RESULT)
            print_result(result, run_dir)
            log_results(loggers, result, predictions.splits, data, model)
    return result


def prepared(cfg: DictConfig) -> tuple[ImageDataModule, Classifier]:
    """Seed the random generators; the data, set up for training, and the classifier."""
    pl.seed_everything(cfg.seed, verbose=False)
    data, metadata = prepared_data(cfg)
    if cfg.model.frozen:
        metadata = use_features(cfg, data, metadata)
    build = build_feature_classifier if cfg.model.frozen else build_classifier
    model = build(cfg, metadata, build_optimizer(cfg), build_scheduler(cfg))
    check_mixing(cfg, data, model.loss)
    return data, model


def prepared_data(cfg: DictConfig) -> tuple[ImageDataModule, ModelMetadata]:
    """The data, set up for training, and the metadata of a model for it."""
    data = build_datamodule(cfg)
    adopt_preprocessing(data, cfg.model)
    data.prepare_data()
    data.setup("fit")
    metadata = metadata_of(cfg, data, important_class_ids(cfg, data))
    report_important_classes(data, metadata)
    return data, metadata


def callbacks_of(cfg: DictConfig, predictions: CollectPredictions) -> list[pl.Callback]:
    """The callbacks of every run, and those of the config."""
    return [ReseedEachEpoch(cfg.seed), RebaseCheckpointPaths(), predictions, *build_callbacks(cfg)]


@rank_zero_only
def _write_config(cfg: DictConfig, run_dir: Path) -> None:
    if cfg.resume is not None:  # until its new end the run is not finished
        (run_dir / RESULT).unlink(missing_ok=True)
    with atomic_write(run_dir / CONFIG) as file:
        file.write(OmegaConf.to_yaml(cfg, resolve=True))


@rank_zero_only
def _bundle(cfg: DictConfig, model: Classifier, run_dir: Path) -> None:
    if cfg.model.bundle and model.metadata.frozen is not None:  # else the checkpoint has the backbone
        bundle(model.metadata.frozen, run_dir)


def _fit(cfg: DictConfig, trainer: pl.Trainer, model: Classifier, data: ImageDataModule, run_dir: Path) -> float:
    """Train to the end, from ``last.ckpt`` where the run is resumed; returns the seconds it took."""
    last = run_dir / "checkpoints" / "last.ckpt"
    resumed = cfg.resume is not None and last.is_file()
    if resumed:  # reports in one line what Lightning would report in a traceback
        checkpoint = read_checkpoint(last)
        check_same_data(checkpoint.metadata, model.metadata, cfg.resume)
        load_state(model, checkpoint)
    begin = time.perf_counter()
    try:
        trainer.fit(model, datamodule=data, ckpt_path=str(last) if resumed else None, weights_only=True)
    except MisconfigurationException as error:  # such as callbacks.best.monitor with a typo
        raise UserError(" ".join(str(error).split())) from error
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise UserError(
            "a training batch of one image is too small for the batch norms of this model. Give a larger "
            "data.batch_size, or more training images."
        ) from error
    return time.perf_counter() - begin


@contextmanager
def _stoppable(trainer: pl.Trainer, run_dir: Path) -> Iterator[None]:
    """Print how to resume a run that is stopped, and end it with the exit code of what stopped it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as stop:  # Lightning turns Ctrl-C into SystemExit(1) without a message
        if trainer.is_global_zero:
            print(f"stopped; to resume: python -m camri_exp.train resume={display_path(run_dir)}", file=sys.stderr)
        sys.exit(exit_code(stop))


def _evaluate(cfg: DictConfig, trainer: pl.Trainer, model: Classifier, data: ImageDataModule, run_dir: Path) -> str:
    """Validate, calibrate and test the chosen checkpoint; returns its path within the run's folder."""
    path = run_dir / "checkpoints" / f"{cfg.test_checkpoint}.ckpt"
    if not path.is_file():
        raise UserError(f"test_checkpoint={cfg.test_checkpoint}: the run ended before it wrote {path.name}.")
    for evaluate in (trainer.validate, trainer.test):
        evaluate(model, datamodule=data, ckpt_path=str(path), verbose=False, weights_only=True)
    if "calibration" in data.splits:
        trainer.predict(model, datamodule=data, ckpt_path=str(path), return_predictions=False, weights_only=True)
    return str(path.relative_to(run_dir))
