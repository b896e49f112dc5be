"""One run, from the composed config to ``result.json``."""

import logging
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from camri_exp import build
from camri_exp.callbacks import EpochBar, MovedRun, Predictions, ReseedEachEpoch
from camri_exp.checkpoint import load_state, read_checkpoint
from camri_exp.classifier import Classifier
from camri_exp.errors import UserError
from camri_exp.metrics.angles import own_class_angles
from camri_exp.metrics.confusion import summarize
from camri_exp.quiet import quieten
from camri_exp.results import SCHEMA, as_typed, config_hash, write_json, write_predictions
from camri_exp.resume import finished_result, resumed_config
from camri_exp.sweeps import setting

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> dict[str, Any]:
    """Train, test the chosen checkpoint and write the run's files; returns what ``result.json`` holds.

    Raises:
        UserError: whatever the user can mend, from a class that does not exist to a loss that became NaN.
    """
    quieten()
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    if cfg.resume is not None:
        cfg = resumed_config(cfg, run_dir)
        if (finished := finished_result(cfg, run_dir)) is not None:
            print(f"{run_dir} is finished already; a larger trainer.max_epochs goes on with it.")
            print_result(finished, run_dir)
            return finished
    _check_seed(cfg.seed)
    pl.seed_everything(cfg.seed, verbose=False)
    data = build.datamodule(cfg)
    data.prepare_data()
    data.setup("fit")
    important_class = build.resolve_important(cfg, data)
    model = build.classifier(cfg, data, important_class)
    if cfg.resume is not None:  # goes on: until its end it is not finished
        (run_dir / "result.json").unlink(missing_ok=True)
    rank_zero_only(OmegaConf.save)(cfg, run_dir / "config.yaml", resolve=True)
    tellers, exit_code = build.tellers(cfg, run_dir, [model.class_names[i] for i in important_class]), 1
    try:
        result = _fit_and_test(cfg, run_dir, data, model, tellers)
        exit_code = 0
    finally:
        for teller in tellers:
            if hasattr(teller, "finish"):
                teller.finish(exit_code)
    return result


def _fit_and_test(cfg: DictConfig, run_dir: Path, data: Any, model: Classifier, tellers: list[Any]) -> dict[str, Any]:
    predictions = Predictions()
    own: list[Callback] = [ReseedEachEpoch(cfg.seed), MovedRun(), predictions]
    if cfg.trainer.enable_progress_bar:
        own.append(EpochBar())
    trainer = build.trainer(cfg, run_dir, own + build.callbacks(cfg, run_dir), tellers)
    _check_freezing(cfg, trainer)
    _check_choice(cfg, trainer)

    last = run_dir / "checkpoints" / "last.ckpt"
    resumed = cfg.resume is not None and last.is_file()
    if resumed:  # says in one line what Lightning would say in a traceback
        load_state(model, read_checkpoint(last), str(last))
    begin = time.perf_counter()
    try:
        trainer.fit(model, datamodule=data, ckpt_path=str(last) if resumed else None, weights_only=True)
    except MisconfigurationException as error:  # such as callbacks.best.monitor with a typo
        raise UserError(" ".join(str(error).split())) from error
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, which Lightning turns into an exit without a word
        if trainer.is_global_zero and last.is_file():
            print(f"stopped; to go on: python -m camri_exp.train resume={as_typed(run_dir)}", file=sys.stderr)
        raise
    fit_seconds = time.perf_counter() - begin

    chosen = last.with_name(f"{cfg.test_checkpoint}.ckpt")
    if not chosen.is_file():
        raise UserError(f"test_checkpoint={cfg.test_checkpoint}: the run ended before it wrote {chosen.name}.")
    epochs = trainer.current_epoch
    for evaluate in (trainer.validate, trainer.test):
        evaluate(model, datamodule=data, ckpt_path=str(chosen), verbose=False, weights_only=True)

    arrays = predictions.arrays(cosines=model.angles is not None)
    result = _result(cfg, model, arrays) | {
        "epochs": epochs,
        "fit_seconds": round(fit_seconds, 3),
        "images_per_second": round(model.meter.images_per_second * trainer.world_size, 1),
        "checkpoint": str(chosen.relative_to(run_dir)),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "hardware": hardware(trainer),
    }
    if trainer.is_global_zero:
        _write(run_dir, result, arrays, data, model, tellers)
    return result


def _check_seed(seed: Any) -> None:
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"seed={seed}: expected a whole number from 0 to {2**32 - 1}.")


def _check_freezing(cfg: DictConfig, trainer: pl.Trainer) -> None:
    if cfg.model.freeze_epochs and trainer.world_size > 1 and "find_unused" not in str(cfg.trainer.get("strategy")):
        raise UserError(
            f"model.freeze_epochs={cfg.model.freeze_epochs} under DDP leaves parameters without gradients. "
            "Give ++trainer.strategy=ddp_find_unused_parameters_true as well."
        )


def _check_choice(cfg: DictConfig, trainer: pl.Trainer) -> None:
    """Before the training rather than after it: will there be a checkpoint to test?"""
    names = [callback.filename for callback in trainer.checkpoint_callbacks if isinstance(callback, ModelCheckpoint)]
    if cfg.test_checkpoint not in names:
        raise UserError(f"test_checkpoint={cfg.test_checkpoint}: expected one of {', '.join(map(str, names))}.")
    for split in ("train", "val", "test"):
        if getattr(trainer, f"limit_{split}_batches") == 0:
            raise UserError(f"trainer.limit_{split}_batches=0 leaves nothing of the {split} split. Give at least 1.")
    every, epochs = trainer.check_val_every_n_epoch, trainer.max_epochs
    if every is not None and epochs is not None and every > epochs:
        raise UserError(
            f"trainer.check_val_every_n_epoch={every} of trainer.max_epochs={epochs} epochs never validates. "
            f"Give at most {epochs}."
        )


def _result(cfg: DictConfig, model: Classifier, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "status": "finished",
        "data": cfg.data.name,
        "loss": cfg.loss.name,
        "model": cfg.model.name,
        "seed": cfg.seed,
        "important_class": model.important_class,
        "important_class_names": [model.class_names[i] for i in model.important_class],
        "class_names": model.class_names,
        "overrides": list(HydraConfig.get().overrides.task),
        "config_hash": config_hash(cfg),
        **setting.about(cfg, model.loss),
        **{split: _summary(model, arrays[f"{split}_scores"], arrays[f"{split}_target"]) for split in ("val", "test")},
        **({"angles": _angles(model, arrays)} if model.angles is not None else {}),
    }


def _summary(model: Classifier, scores: np.ndarray, target: np.ndarray) -> dict[str, Any]:
    classes = len(model.class_names)
    confusion = np.bincount(target * classes + scores.argmax(1), minlength=classes**2).reshape(classes, classes)
    return summarize(confusion, model.important_class, model.class_names)


def _angles(model: Classifier, arrays: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Images, mean and variance of the angle to the own class's weight (radians), a class each, on the test split."""
    target, classes = arrays["test_target"], len(model.class_names)
    found = own_class_angles(arrays["test_angle"], target, model.important_class, classes)
    count = np.bincount(target, minlength=classes).tolist()
    return {"count": count, "mean": found["mean"], "variance": found["var"]}


def _write(
    run_dir: Path,
    result: dict[str, Any],
    arrays: dict[str, np.ndarray],
    data: Any,
    model: Classifier,
    tellers: list[Any],
) -> None:
    for split in ("val", "test"):
        count = len(arrays[f"{split}_target"])  # fewer than the split has where limit_*_batches cut it
        arrays[f"{split}_name"] = np.asarray(data.names(split)[:count], dtype=np.str_)
        if (groups := data.groups(split)) is not None:
            arrays[f"{split}_group"] = np.asarray(groups[:count], dtype=np.str_)
    write_predictions(run_dir / "predictions.npz", arrays)
    write_json(run_dir / "result.json", result)
    print_result(result, run_dir)
    # After the results: nothing that a tracking service does can cost them.
    for teller in tellers:
        if hasattr(teller, "report"):
            teller.report(result, arrays, data, model.loss.cpu().probabilities)


def hardware(trainer: pl.Trainer) -> str:
    """What the run ran on, in words: the GPUs, or the processor and the threads used."""
    if trainer.strategy.root_device.type == "cuda":
        return f"{trainer.world_size} x {torch.cuda.get_device_name(trainer.strategy.root_device)}"
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def print_result(result: dict[str, Any], run_dir: Path) -> None:
    """The short table that ends a run, where its files are, and what to try next."""
    folder = as_typed(run_dir)
    names = ", ".join(result["important_class_names"])
    rows = {
        "accuracy": "accuracy",
        f"recall of {names}": "recall_important",
        f"precision of {names}": "precision_important",
        "macro recall": "macro_recall",
    }
    width = max(map(len, rows))
    title = f"{result['data']}, loss {result['loss']}, {result['model']}, seed {result['seed']}"
    print(f"\n{title}: {result['epochs']} epochs in {result['fit_seconds']:.0f} s")
    print(f"{'':{width}}  validation    test")
    for label, key in rows.items():
        print(f"{label:{width}}  {result['val'][key]:10.4f}  {result['test'][key]:6.4f}")
    print(f"\nresults: {folder}")
    print(f"next:    python -m camri_exp.evaluate run={folder}")
    print(f"         python -m camri_exp.train -m {_comparison(result['overrides'])}")


def _comparison(overrides: Sequence[str]) -> str:
    """The run's own overrides, for the shell, with the two losses and the seeds that a comparison takes."""
    replaced = ("loss=", "seed=", "resume=", "sweep.")
    own = [shlex.quote(item) for item in overrides if not item.lstrip("+").startswith(replaced)]
    return " ".join([*own, "loss=ce,camri", "seed=0,1,2"])
