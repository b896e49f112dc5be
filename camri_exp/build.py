"""Config to objects. A part receives what its signature names: a loss that takes ``class_counts`` gets them."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from camri_exp import backbones, important, lean
from camri_exp.classifier import Classifier
from camri_exp.errors import UserError

# Keys that tell the user or the frame something and are no argument of the object.
LABELS = ("name", "important_class")


def part(node: DictConfig, where: str, **context: Any) -> Any:
    """Build ``node``, handing over those of ``context`` that its target's signature names and the config leaves open.

    Raises:
        UserError: the object refused its arguments; the message is the object's own.
    """
    settings = {str(key): _plain(value) for key, value in node.items() if key not in LABELS}
    target = _target(settings.pop("_target_"), where)
    names = _parameters(target)
    extra = {key: value for key, value in context.items() if key in names and settings.get(key) is None}
    # Only nested nodes go through Hydra: it would copy the objects in `extra`.
    arguments: dict[str, Any] = instantiate(
        {key: value for key, value in settings.items() if key not in extra}, _convert_="all"
    )
    try:
        return target(**arguments, **extra)
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise UserError(f"{where}: {error}") from error


def _parameters(target: Any) -> set[str]:
    """Names that a call takes; where a class passes on the ``**rest``, those of the class above it as well."""
    names: set[str] = set()
    for one in inspect.getmro(target) if inspect.isclass(target) else (target,):
        parameters = inspect.signature(one).parameters
        names |= set(parameters)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return names


def _plain(value: Any) -> Any:
    """A nested node without its parents, which its references may need."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _target(path: str, where: str) -> Any:
    try:
        return get_object(path)
    except (ImportError, ValueError) as error:
        raise UserError(f"{where}: _target_={path} cannot be imported: {str(error).splitlines()[-1]}") from error


def datamodule(cfg: DictConfig) -> Any:
    """The data module of ``cfg.data``, not yet set up."""
    return part(cfg.data, "data", seed=cfg.seed)


def classifier(cfg: DictConfig, data: Any, important_class: list[int]) -> Classifier:
    """Backbone, head and loss for ``data``, which has class_names, class_counts, channels, image_size, mean and std."""
    model: dict[str, Any] = {str(key): value for key, value in cfg.model.items()}
    freeze_epochs, channels_last, compiled = (model.pop(key) for key in ("freeze_epochs", "channels_last", "compile"))
    if freeze_epochs < 0:
        raise UserError(f"model.freeze_epochs={freeze_epochs}: expected 0 or a number of epochs.")
    if unknown := set(model) - set(inspect.signature(backbones.create).parameters):
        raise UserError(f"model.{min(unknown)}: no backbone has such an option. Leave it out.")
    backbone, features = backbones.create(channels=data.channels, image_size=data.image_size, **model)
    head = part(cfg.head, "head", in_features=features, num_classes=len(data.class_names))
    loss = part(
        cfg.loss,
        f"loss={cfg.loss.name}",
        num_classes=len(data.class_names),
        important_class=important_class,
        class_counts=list(data.class_counts),
    )
    _check_pair(head, loss, cfg)
    if compiled:
        backbone.compile()
    return Classifier(
        backbone,
        head,
        loss,
        class_names=list(data.class_names),
        important_class=important_class,
        optimizer=lambda parameters: part(cfg.optimizer, "optimizer", params=parameters),
        # torch's schedules call their length by three names.
        scheduler=lambda optimizer, steps: part(
            cfg.scheduler, "scheduler", optimizer=optimizer, total_steps=steps, T_max=steps, total_iters=steps
        ),
        report_every=cfg.trainer.log_every_n_steps,
        freeze_epochs=freeze_epochs,
        channels_last=channels_last,
        about=_about(cfg, data, important_class),
    )


def resolve_important(cfg: DictConfig, data: Any) -> list[int]:
    """Ids of the important classes: ``important_class``, or where that is null the data set's default."""
    chosen = cfg.important_class if cfg.important_class is not None else cfg.data.get("important_class")
    if OmegaConf.is_list(chosen):
        chosen = list(chosen)
    return important.resolve(chosen, data.class_names, cfg.data.name)


def _check_pair(head: nn.Module, loss: nn.Module, cfg: DictConfig) -> None:
    given, wanted = getattr(head, "scores", None), getattr(loss, "scores", None)
    if given != wanted:
        raise UserError(
            f"loss={cfg.loss.name} works on {wanted} scores, but {type(head).__name__} gives {given} scores. "
            "Leave the head out: every loss selects its own."
        )


def _about(cfg: DictConfig, data: Any, important_class: list[int]) -> dict[str, Any]:
    return {
        "schema": 1,
        "data": cfg.data.name,
        "loss": cfg.loss.name,
        "model": cfg.model.name,
        "class_names": list(data.class_names),
        "class_counts": [int(count) for count in data.class_counts],
        "important_class": list(important_class),
        "channels": int(data.channels),
        "image_size": int(data.image_size),
        "mean": [float(value) for value in data.mean],
        "std": [float(value) for value in data.std],
    }


def tellers(cfg: DictConfig, run_dir: Path, important_class_names: Sequence[str]) -> list[Any]:
    """The loggers and callbacks of the logger group."""
    hydra = HydraConfig.get()
    context = {
        "config": OmegaConf.to_container(cfg, resolve=True),
        "run_dir": str(run_dir),
        "overrides": list(hydra.overrides.task),
        "job_type": "train",
        "group": cfg.sweep.name if hydra.mode == RunMode.MULTIRUN else None,
        "important_class_names": list(important_class_names),
    }
    return [part(node, "logger", **context) for node in (cfg.logger or {}).values() if node]


def callbacks(cfg: DictConfig, run_dir: Path) -> list[Callback]:
    """The callbacks of the callbacks group; checkpoints go into the run's folder.

    What monitors nothing is saved after every epoch; Lightning would wait for the next validation.
    """
    context: dict[str, Any] = {"dirpath": str(run_dir / "checkpoints")}
    each_epoch = {"save_on_train_epoch_end": True}
    return [
        part(node, "callbacks", **context, **({} if node.get("monitor") else each_epoch))
        for node in cfg.callbacks.values()
        if node
    ]


def trainer(cfg: DictConfig, run_dir: Path, callbacks: list[Callback], tellers: list[Any]) -> pl.Trainer:
    """The Lightning trainer of ``cfg.trainer`` with these callbacks and loggers."""
    if cfg.trainer.max_epochs is not None and cfg.trainer.max_epochs < 1:
        raise UserError(f"trainer.max_epochs={cfg.trainer.max_epochs}: there is nothing to train. Give at least 1.")
    lean.look_for_gpus_once()
    built = part(
        cfg.trainer,
        "trainer",
        callbacks=callbacks + [teller for teller in tellers if isinstance(teller, Callback)],
        logger=[teller for teller in tellers if isinstance(teller, Logger)],
        default_root_dir=str(run_dir),
        profiler=lean.NoProfiler(),
    )
    lean.drop_empty_hooks(built.callbacks)
    if built.strategy.root_device.type == "cpu":
        lean.keep_freed_memory()
    return built
