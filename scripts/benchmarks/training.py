"""Training: images a second, through the trainer and in a bare loop

The paper's CNN on CIFAR-10. Steady state, an epoch of ours and one of the rival in turn, the first of each left out.
The bare loop has the same model, precision, data in memory, augmentation, optimizer and schedule, and nothing else:
no metrics, no checks, no progress bar, no checkpoints.
"""

from benchmarks._frame import Row
from benchmarks._training import beside_bare_loop

PAPER = ("data=cifar10", "model=camri_cnn", "trainer.accelerator=cpu")
CASES = {  # what: epochs, steps an epoch, overrides
    "`camri_cnn`, batch 64, float32": (4, 6, (*PAPER, "data.batch_size=64")),
    "`camri_cnn`, batch 512, float32": (4, 2, (*PAPER, "data.batch_size=512")),
    "`camri_cnn`, batch 64, bf16": (4, 12, (*PAPER, "data.batch_size=64", "trainer.precision=bf16-mixed")),
}


def measure(quick: bool) -> list[Row]:
    narrow = ("model.width=0.125",) if quick else ()
    return [
        beside_bare_loop(what, "ratio >= 0.97", epochs, steps, (*overrides, *narrow), quick)
        for what, (epochs, steps, overrides) in CASES.items()
    ]
