"""A callback that ends the process after the first training step, to measure how long a run takes to start."""

import os
from typing import Any

from pytorch_lightning.callbacks import Callback


class StopAtFirstStep(Callback):
    def on_train_batch_end(self, *_: Any) -> None:
        os._exit(0)
