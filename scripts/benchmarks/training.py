"""Training: images per second with the trainer and in a bare loop

The CNN of the paper on CIFAR-10, in the steady state: epochs of the trainer and of the bare loop alternate, and the
first one of each is left out. The bare loop has the same model, precision, data in memory, augmentation, optimizer and
schedule, and nothing else: no metrics, checks, progress bar or checkpoints.
"""

from benchmarks._harness import Measurement
from benchmarks._training import against_bare_loop

PAPER = ("data=cifar10", "model=camri_cnn", "trainer.accelerator=cpu")
CASES = {  # name: epochs, steps per epoch, overrides
    "`camri_cnn`, batch 64, float32": (4, 6, (*PAPER, "data.batch_size=64")),
    "`camri_cnn`, batch 512, float32": (4, 2, (*PAPER, "data.batch_size=512")),
    "`camri_cnn`, batch 64, bf16": (4, 12, (*PAPER, "data.batch_size=64", "trainer.precision=bf16-mixed")),
}


def measure(quick: bool) -> list[Measurement]:
    narrow = ("model.width=0.125",) if quick else ()
    return [
        against_bare_loop(what, "ratio >= 0.97", epochs, steps, (*overrides, *narrow), quick)
        for what, (epochs, steps, overrides) in CASES.items()
    ]
