"""Checks before the training rather than after it."""

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint

from camri_exp.errors import UserError


def check_trainer(cfg: DictConfig, trainer: pl.Trainer) -> None:
    """Check that the run can be trained, and that there will be a checkpoint to test.

    Raises:
        UserError: frozen epochs or layers under DDP, a checkpoint that nobody writes, an empty split, or no
            validation at all.
    """
    frozen = next((key for key in ("freeze_epochs", "freeze_below") if cfg.model.get(key)), None)
    if frozen and trainer.world_size > 1 and "find_unused" not in str(cfg.trainer.get("strategy")):
        raise UserError(
            f"model.{frozen}={cfg.model[frozen]} under DDP leaves parameters without gradients. "
            "Give ++trainer.strategy=ddp_find_unused_parameters_true as well."
        )
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
