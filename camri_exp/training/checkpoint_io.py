"""Checkpoints that are written whole or not at all."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from camri_exp.errors import UserError
from camri_exp.files import atomic_path


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint next to its target and renames it.

    Lightning's own writer uses the temporary folder of the system and moves the file from there. Where that is another
    file system, the move is a copy: a process that is killed during it leaves an empty ``last.ckpt`` and no earlier
    file.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                torch.save(checkpoint, temporary)
        except OSError as error:
            raise UserError(
                f"{path} cannot be written: {error.strerror or error}. The earlier file is kept; make room, then "
                "resume the run."
            ) from error
