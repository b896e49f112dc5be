"""Evaluate the checkpoint of a finished run again with two CPU processes; a script, because DDP starts it twice.

python evaluate_with_ddp.py RUN writes RUN/ddp.npz (scores, target) and RUN/ddp.json (the logged metrics).
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytorch_lightning as pl

from camri_exp.data.factory import build_datamodule
from camri_exp.models import checkpoint
from camri_exp.training.callbacks import CollectPredictions


def main(run: Path) -> None:
    cfg, model = checkpoint.load(run / "checkpoints" / "best.ckpt", ["tests.helpers.tiny.TinyDataModule"])
    data = build_datamodule(cfg)
    predictions = CollectPredictions()
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        callbacks=[predictions],
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        default_root_dir=str(run),
    )
    trainer.test(model, datamodule=data, verbose=False)
    if trainer.is_global_zero:
        np.savez(run / "ddp.npz", **predictions.splits["test"].arrays("test"))
        kept = ("accuracy", "recall_important", "precision_important", "macro_recall")
        (run / "ddp.json").write_text(json.dumps({key: float(trainer.callback_metrics[f"test/{key}"]) for key in kept}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
