"""Small steps: the overhead of Lightning where the arithmetic takes milliseconds

Digits of 8 x 8 pixels, compared with the same bare loop. A profile of Lightning's steps showed the following overhead,
which has been removed: `DataLoader` and its lists of indices (batches are slices of one tensor of indices), six hooks
per callback, each announced to a profiler that is not there (empty hooks are None, the profiler is a null context),
Adam looking for NVIDIA's library at every step where there is no GPU (by Lightning's own setting, which is reset),
constants copied again for each normalisation (they stay on the device), `nn.Module.__setattr__` storing the name of
the running hook, and a search of the batch for tensors. What is left is the loop of Lightning itself: progress
counters, closures and hooks of the module.
"""

from benchmarks._harness import Measurement
from benchmarks._training import against_bare_loop

SMALL = ("data=digits", "trainer.accelerator=cpu")
CASES = {  # name: epochs, steps per epoch, overrides
    "default network, batch 64": (120, 19, SMALL),
    "quarter of the width, batch 16": (80, 78, (*SMALL, "model.width=0.25", "data.batch_size=16")),
}


def measure(quick: bool) -> list[Measurement]:
    return [
        against_bare_loop(what, "ratio >= 0.85", epochs, steps, overrides, quick)
        for what, (epochs, steps, overrides) in CASES.items()
    ]
