"""Training: images a second, through the trainer and in a bare loop

Steady state, an epoch of ours and one of the rival in turn, the first of each left out. The bare loop has the same
model, precision, data in memory, augmentation, optimizer and schedule, and nothing else: no metrics, no checks, no
progress bar, no checkpoints.
"""

import statistics

from benchmarks import _training as training
from benchmarks._frame import Row

CPU, BF16, WIDTH = "trainer.accelerator=cpu", "trainer.precision=bf16-mixed", "model.width=0.25"
PAPER = ("data=cifar10", "model=camri_cnn", CPU)
SMALL = ("data=digits", CPU)
CASES = {  # what: target, epochs, steps an epoch, overrides
    "`camri_cnn`, batch 64, float32": ("ratio >= 0.97", 6, 6, (*PAPER, "data.batch_size=64")),
    "`camri_cnn`, batch 512, float32": ("ratio >= 0.97", 6, 2, (*PAPER, "data.batch_size=512")),
    "`camri_cnn`, batch 64, bf16": ("ratio >= 0.97", 6, 12, (*PAPER, BF16, "data.batch_size=64")),
    "digits, default network, batch 64": ("ratio >= 0.85", 50, 19, SMALL),
    "digits, quarter of the width, batch 16": ("ratio >= 0.85", 50, 78, (*SMALL, WIDTH, "data.batch_size=16")),
}  # fmt: skip


def measure(quick: bool) -> list[Row]:
    cases = {what: CASES[what] for what in list(CASES)[-1:]} if quick else CASES
    return [_row(what, *case, quick=quick) for what, case in cases.items()]


def _row(what: str, target: str, epochs: int, steps: int, overrides: tuple[str, ...], quick: bool) -> Row:
    """Milliseconds a step stand in the note: the smaller the step, the more the trainer's own work weighs."""
    ours, against = training.speeds(
        cfg := training.config(
            *overrides,
            f"trainer.limit_train_batches={2 if quick else steps}",
            f"trainer.max_epochs={1 + (2 if quick else epochs)}",
            "trainer.limit_val_batches=1",
        )
    )
    step = 1e3 * cfg.data.batch_size / statistics.median(against)
    return Row.of(what, ours, "images/s", "bare loop", against, target, f"{step:.2g} ms a step")
