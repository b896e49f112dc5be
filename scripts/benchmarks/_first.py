"""A callback that ends the process at the first training step: what came before is the start."""

import os
from typing import Any

from pytorch_lightning.callbacks import Callback


class StopAtFirstStep(Callback):
    def on_train_batch_end(self, *_: Any) -> None:
        os._exit(0)
