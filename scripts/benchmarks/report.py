"""Reports: 2,000 runs, and memory that does not grow with them

`python -m camri_exp.report` in a new process, over copies of two real digits runs that differ by seed and margin: one
baseline and 39 configurations with 50 seeds each; the small sweep that it is compared with has 5 seeds each.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._harness import Measurement, Process, process

CONFIGURATIONS = 40
CHILD = """
import runpy, sys
sys.argv[0] = "camri_exp.report"
runpy.run_module("camri_exp.report", run_name="__main__")
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""  # printed by the child, because the peak that a parent can read starts at the size of the parent


def measure(quick: bool) -> list[Measurement]:
    configurations, few, many = (3, 1, 2) if quick else (CONFIGURATIONS, 5, 50)
    with tempfile.TemporaryDirectory() as folder:
        originals = [_trained(Path(folder) / loss, loss) for loss in ("ce", "camri")]
        small, large = (_reported(Path(folder) / f"{seeds}", originals, configurations, seeds) for seeds in (few, many))
    runs = f"report over {configurations * many:,} runs"
    return [
        Measurement.of(runs, [large.seconds], "s", f"{configurations * few:,} runs", [small.seconds], "ours <= 20"),
        Measurement.of(
            f"peak memory, {runs}", [_peak_mib(large)], "MiB", f"{configurations * few:,} runs", [_peak_mib(small)],
            "ratio <= 1.25",
        ),
    ]  # fmt: skip


def _trained(run: Path, loss: str) -> Path:
    process(
        *("-m", "camri_exp.train", f"loss={loss}", "logger=none", "trainer.max_epochs=3", "trainer.accelerator=cpu"),
        f"hydra.run.dir={run}",
    )
    return run


def _reported(sweep: Path, originals: list[Path], configurations: int, seeds: int) -> Process:
    for number in range(configurations):
        original = originals[number > 0]
        result = json.loads((original / "result.json").read_text())
        for seed in range(seeds):
            _copy(original, sweep / f"{number}+{seed}", result, number, seed)
    return process("-c", CHILD, f"sweep={sweep}")


def _peak_mib(done: Process) -> float:
    return int(done.out.splitlines()[-1]) / 1024


def _copy(original: Path, run: Path, result: dict[str, Any], number: int, seed: int) -> None:
    """A copy of the run ``original`` with slightly different numbers, so that no two runs are equal."""
    run.mkdir(parents=True)
    for name in ("config.yaml", "predictions.npz"):
        os.link(original / name, run / name)
    parameters = result["loss_parameters"] | ({"margin": number / 100} if number else {})
    shifted = {split: result[split] | {"accuracy": 0.95 + (7 * seed + number) % 50 / 1000} for split in ("val", "test")}
    unique = {"seed": seed, "setting": f"{number}", "config_hash": f"{number}+{seed}", "loss_parameters": parameters}
    (run / "result.json").write_text(json.dumps(result | unique | shifted))
