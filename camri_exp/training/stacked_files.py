"""The folder of each run of a stack: the files that the run would have left if it had been trained alone."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from camri_exp import identity
from camri_exp.errors import UserError
from camri_exp.files import atomic_write
from camri_exp.models.backbone_file import bundle
from camri_exp.results import PREDICTIONS, RESULT, Predictions, RunResult, write_predictions
from camri_exp.stored_config import CONFIG
from camri_exp.training.callbacks import formatted, split_predictions, write_rows
from camri_exp.training.checkpoint_io import AtomicCheckpointIO
from camri_exp.training.console import print_result
from camri_exp.training.factory import build_callbacks, build_loggers
from camri_exp.training.loggers import describe, log_results, opened
from camri_exp.training.result import Training, hardware, run_result
from camri_exp.training.stack import Member, Stack, Weights
from camri_exp.training.stacked_fit import Progress, StackedFit


class RunFiles:
    """Writes the files of one run of a trained stack.

    Args:
        fit: the trained stack.
        member: the run.
        progress: what is known of it.
        scores: its scores by split, (n, K).
        loops: the state of Lightning's loops at the end of the training.
    """

    def __init__(
        self, fit: StackedFit, member: Member, progress: Progress, scores: Mapping[str, Tensor], loops: dict[str, Any]
    ) -> None:
        self.fit, self.member, self.progress, self.scores, self.loops = fit, member, progress, scores, loops
        self.stack, self.cfg, self.model = fit.stack, member.cfg, member.model

    def write(self, run_dir: Path, last: Weights, best: Weights) -> RunResult:
        """Write the files of the run with these weights, and log it to its loggers.

        Raises:
            UserError: its loss became NaN or infinite.
        """
        own = identity.identity_of(self.cfg, self.model.needs)
        with atomic_write(run_dir / CONFIG) as file:
            file.write(OmegaConf.to_yaml(self.cfg, resolve=True))
        if self.cfg.model.bundle and self.model.metadata.frozen is not None:
            bundle(self.model.metadata.frozen, run_dir)
        write_rows(run_dir / "metrics.csv", [formatted(row) for row in self.progress.rows])
        if self.progress.error is not None:
            raise UserError(self.progress.error)
        self._write_checkpoints(run_dir, last, best)
        predictions = self._predictions()
        seconds = self.fit.seconds / len(self.stack.members)
        images = len(self.stack.data.splits["train"].target) * self.stack.epochs
        training = Training(
            epochs=self.stack.epochs,
            seconds=seconds,
            images_per_second=images / seconds,
            hardware=hardware(self.stack.device),
            stacked=len(self.stack.members),
        )
        checkpoint = f"checkpoints/{self.cfg.test_checkpoint}.ckpt"
        result = run_result(self.cfg, self.model, self.stack.data, predictions, own, training, checkpoint)
        write_predictions(run_dir / PREDICTIONS, predictions)
        loggers = build_loggers(self.cfg)
        with opened(loggers, describe(self.cfg, self.model.metadata.important_class_names)):
            result.write(run_dir / RESULT)
            print_result(result, run_dir)
            for logger in loggers:
                for step, values in self._logged(result):
                    logger.log_metrics(values, step=step)
                logger.save()
                logger.finalize("success")
            log_results(loggers, result, predictions, self.stack.data, self.model)
        return result

    def _predictions(self) -> Predictions:
        data, cosine = self.stack.data, self.model.has_cosine_scores
        return {
            split: split_predictions(
                data, split, torch.arange(len(scores)), scores, data.splits[split].target.cpu(), cosine
            )
            for split, scores in self.scores.items()
        }

    def _logged(self, result: RunResult) -> list[tuple[int, dict[str, float]]]:
        """What loggers get during and after the training."""
        last = self.stack.epochs * self.stack.steps_per_epoch
        return [*self.progress.logged, (last, {**result.test.logged("test"), "epoch": self.stack.epochs})]

    def _write_checkpoints(self, run_dir: Path, last: Weights, best: Weights) -> None:
        """Write ``last.ckpt``, from which the run can be trained further, and ``best.ckpt``, to predict with."""
        callbacks = self._callbacks(run_dir)
        optimizer, schedule = self.stack.optimizer_state(self.member)
        epochs, steps = self.stack.epochs, self.stack.steps_per_epoch
        assert self.progress.best is not None
        best_epoch = self.progress.best[0]
        trained = {"optimizer_states": [optimizer], "lr_schedulers": [schedule]}
        for name, epoch, weights, state in (("best", best_epoch, best, {}), ("last", epochs - 1, last, trained)):
            self.model.load_state_dict(weights, strict=False)
            content = {
                "epoch": epoch,
                "global_step": (epoch + 1) * steps,
                "pytorch-lightning_version": pl.__version__,
                "state_dict": copy.deepcopy(self.model.state_dict()),
                "loops": self.loops,
                "callbacks": callbacks,
                "optimizer_states": [],
                "lr_schedulers": [],
                "camri_exp": self.model.metadata.to_dict(),
                **state,
            }
            AtomicCheckpointIO().save_checkpoint(content, run_dir / "checkpoints" / f"{name}.ckpt")

    def _callbacks(self, run_dir: Path) -> dict[str, Any]:
        """The states of the callbacks that write checkpoints, as after a run alone."""
        states = {}
        for callback in build_callbacks(self.cfg):
            if not isinstance(callback, ModelCheckpoint):
                continue
            path = str(run_dir / "checkpoints" / f"{callback.filename}.ckpt")
            callback.best_model_path = path
            if callback.monitor is not None:
                assert self.progress.best is not None
                score = torch.tensor(self.progress.rows[self.progress.best[0]][callback.monitor])
                callback.best_model_score = callback.kth_value = callback.current_score = score
                callback.best_k_models, callback.kth_best_model_path = {path: score}, path
            states[callback.state_key] = callback.state_dict()
        return states


def loops_at_the_end(stack: Stack) -> dict[str, Any]:
    """The state of Lightning's loops after the last epoch of a run alone."""
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    names = ("fit_loop", "validate_loop", "test_loop", "predict_loop")
    loops = {name: getattr(trainer, name).state_dict() for name in names}
    fit, each = loops["fit_loop"], stack.steps_per_epoch
    validated = len(stack.data.val_dataloader())
    fit["epoch_loop.state_dict"] = {"_batches_that_stepped": each * stack.epochs}
    optimization = fit["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
    for progress in (fit["epoch_loop.batch_progress"], fit["epoch_loop.scheduler_progress"], *optimization.values()):
        _count(progress, each * stack.epochs, each)
    _count(fit["epoch_loop.val_loop.batch_progress"], validated, validated)
    _count(fit["epoch_progress"], stack.epochs, stack.epochs)
    for part in fit["epoch_progress"].values():
        part["completed"] -= 1  # the checkpoint is written before the epoch counts as completed
    return loops


def _count(progress: dict[str, Any], total: int, current: int) -> None:
    """Set all counts of one of Lightning's progress records."""
    progress["total"] = dict.fromkeys(progress["total"], total)
    progress["current"] = dict.fromkeys(progress["current"], current)
    if "is_last_batch" in progress:
        progress["is_last_batch"] = True
