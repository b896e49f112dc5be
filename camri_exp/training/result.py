"""The record of a finished run: ``result.json``."""

import platform
from dataclasses import dataclass

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from camri_exp import identity
from camri_exp.data.base import ImageDataModule
from camri_exp.metrics.angles import own_class_angles
from camri_exp.metrics.confusion import confusion_matrix, summarize
from camri_exp.models.classifier import Classifier
from camri_exp.results import AngleStatistics, Predictions, RunResult, SplitMetrics, SplitPredictions


@dataclass(frozen=True)
class Training:
    """How a model was trained: epochs, seconds, images per second, on what, and with how many other models in one."""

    epochs: int
    seconds: float
    images_per_second: float
    hardware: str
    stacked: int | None = None


def run_result(
    cfg: DictConfig,
    model: Classifier,
    data: ImageDataModule,
    predictions: Predictions,
    own: identity.Identity,
    training: Training,
    checkpoint: str,
) -> RunResult:
    """The record of the run of ``cfg``, whose predictions are those of ``checkpoint``."""
    return RunResult(
        data=cfg.data.name,
        loss=cfg.loss.name,
        model=cfg.model.name,
        seed=cfg.seed,
        important_class=model.important_class,
        important_class_names=model.metadata.important_class_names,
        class_names=model.class_names,
        overrides=list(HydraConfig.get().overrides.task),
        config_hash=identity.config_hash(cfg),
        setting=own.configuration,
        data_fingerprint=data.fingerprint,
        folds=(folds := cfg.data.get("folds")),
        fold=cfg.data.fold if folds else None,
        class_free=own.class_free,
        loss_parameters=identity.loss_parameters(cfg),
        val=_metrics(model, predictions["val"]),
        calibration=_metrics(model, predictions["calibration"]) if "calibration" in predictions else None,
        test=_metrics(model, predictions["test"]),
        angles=_angles(model, predictions["test"]),
        epochs=training.epochs,
        fit_seconds=round(training.seconds, 3),
        images_per_second=round(training.images_per_second, 1),
        checkpoint=checkpoint,
        parameters=model.size,
        hardware=training.hardware,
        stacked=training.stacked,
    )


def _metrics(model: Classifier, split: SplitPredictions) -> SplitMetrics:
    confusion = confusion_matrix(split.scores.argmax(1), split.target, len(model.class_names))
    return summarize(confusion, model.important_class, model.class_names, model.metadata.class_counts)


def _angles(model: Classifier, split: SplitPredictions) -> AngleStatistics | None:
    if split.angle is None:
        return None
    classes = len(model.class_names)
    angles = own_class_angles(split.angle, split.target, model.important_class, classes)
    return AngleStatistics(np.bincount(split.target, minlength=classes).tolist(), angles.mean, angles.var)


def hardware(device: torch.device, count: int = 1) -> str:
    """What a run used, in words: ``count`` GPUs, or the processor and the number of threads."""
    if device.type == "cuda":
        return f"{count} x {torch.cuda.get_device_name(device)}"
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
