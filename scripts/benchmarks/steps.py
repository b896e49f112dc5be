"""Small steps: what Lightning's own work costs where the arithmetic takes milliseconds

Digits of 8 x 8 pixels, beside the same bare loop. Profiled, a step of Lightning's went to: `DataLoader` and its lists
of numbers (gone: batches are slices of one tensor of indices), six hooks of every callback with the callback's name
spelled out for a profiler that is not there (gone: empty hooks are None, the profiler is a null context), Adam
looking for NVIDIA's library at every step where there is no GPU (gone: Lightning's own setting, put back), constants
copied anew for each normalisation (gone: kept on the device), `nn.Module.__setattr__` noting the running hook,
Python's `inspect` asked what `training_step` takes, and a search of the batch for tensors (gone, each). What is left
is Lightning's loop itself: its progress counters, closures and hooks of the module.
"""

from benchmarks._frame import Row
from benchmarks._training import beside_bare_loop

SMALL = ("data=digits", "trainer.accelerator=cpu")
CASES = {  # what: epochs, steps an epoch, overrides
    "default network, batch 64": (120, 19, SMALL),
    "quarter of the width, batch 16": (80, 78, (*SMALL, "model.width=0.25", "data.batch_size=16")),
}


def measure(quick: bool) -> list[Row]:
    return [
        beside_bare_loop(what, "ratio >= 0.85", epochs, steps, overrides, quick)
        for what, (epochs, steps, overrides) in CASES.items()
    ]
