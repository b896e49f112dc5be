"""A sweep: the overhead of 24 short runs in one process

Seconds from the start of the process to its end, including imports, against the sum of the `fit_seconds` of its runs.
"""

import json
import tempfile
from pathlib import Path

from benchmarks._harness import Measurement, process


def measure(quick: bool) -> list[Measurement]:
    seeds, epochs = (1, 1) if quick else (12, 20)
    with tempfile.TemporaryDirectory() as folder:
        done = process(
            *("-m", "camri_exp.train", "-m", "data=digits", "logger=none", "trainer.accelerator=cpu", "loss=ce,camri"),
            *(f"seed=range({seeds})", f"trainer.max_epochs={epochs}", f"hydra.sweep.dir={folder}"),
        )
        fits = [json.loads(path.read_text())["fit_seconds"] for path in Path(folder).glob("*/result.json")]
    assert len(fits) == 2 * seeds, f"{len(fits)} of {2 * seeds} runs finished"
    what = f"{len(fits)} digits runs of {epochs} epochs, one process"
    return [Measurement.of(what, [done.seconds], "s", "sum of their fit times", [sum(fits)], "ratio <= 1.25")]
