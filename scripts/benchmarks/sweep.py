"""A sweep: what 24 short runs in one process cost beyond their training

From the start of the process to its end, imports included, against the sum of the runs' own `fit_seconds`.
"""

import json
import tempfile
from pathlib import Path

from benchmarks._frame import Row, process


def measure(quick: bool) -> list[Row]:
    seeds, epochs = (1, 1) if quick else (12, 20)
    with tempfile.TemporaryDirectory() as folder:
        done = process(
            *("-m", "camri_exp.train", "-m", "data=digits", "logger=none", "trainer.accelerator=cpu", "loss=ce,camri"),
            *(f"seed=range({seeds})", f"trainer.max_epochs={epochs}", f"hydra.sweep.dir={folder}"),
        )
        fits = [json.loads(path.read_text())["fit_seconds"] for path in Path(folder).glob("*/result.json")]
    assert len(fits) == 2 * seeds, f"{len(fits)} of {2 * seeds} runs finished"
    what = f"{len(fits)} digits runs of {epochs} epochs, one process"
    return [Row.of(what, [done.seconds], "s", "their fit times", [sum(fits)], "ratio <= 1.25")]
