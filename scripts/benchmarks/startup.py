"""Start: help, configs and errors at once, a run soon after its imports

`--help`, `--cfg job` and a wrong config need neither torch nor Lightning, and do not import them. A run is stopped
after its first training step; its baseline is a process that imports torch, Lightning and timm and ends.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks._harness import Measurement, in_turn, process

COMMANDS = {  # name: exit code, arguments
    "`python -m camri_exp.train --help`": (0, ("--help",)),
    "`python -m camri_exp.train --cfg job`": (0, ("--cfg", "job")),
    "a wrong key, `loss.margim=0.2`": (1, ("loss.margim=0.2",)),
    "a wrong option, `loss=camry`": (1, ("loss=camry",)),
}
STARTS = {  # name: target, overrides
    "digits run to its first step, `logger=none`": ("ratio <= 1.25", ("logger=none",)),
    "digits run to its first step, with W&B offline": ("", ("logger.wandb.mode=offline",)),
}
STOP = "+callbacks.first._target_=benchmarks._stop_at_first_step.StopAtFirstStep"


def measure(quick: bool) -> list[Measurement]:
    repeats = 1 if quick else 5
    commands = in_turn(
        repeats,
        torch=lambda: process("-c", "import torch").seconds,
        **{what: _train(*arguments, code=code) for what, (code, arguments) in COMMANDS.items()},
    )
    measurements = [
        Measurement.of(what, commands[what], "s", "`import torch`", commands["torch"], "ours <= 1.5")
        for what in COMMANDS
    ]
    return measurements if quick else measurements + _starts(repeats)


def _starts(repeats: int) -> list[Measurement]:
    with tempfile.TemporaryDirectory() as folder:
        starts = in_turn(
            repeats,
            imports=lambda: process("-c", "import torch, pytorch_lightning, timm").seconds,
            **{
                what: _train(STOP, f"hydra.run.dir={folder}", "trainer.accelerator=cpu", *overrides)
                for what, (_, overrides) in STARTS.items()
            },
        )
    baseline = "imports of torch, Lightning, timm"
    return [
        Measurement.of(what, starts[what], "s", baseline, starts["imports"], target)
        for what, (target, _) in STARTS.items()
    ]


def _train(*arguments: str, code: int = 0) -> Callable[[], float]:
    scripts = str(Path(__file__).resolve().parents[1])
    return lambda: (
        process("-m", "camri_exp.train", *arguments, code=code, PYTHONPATH=scripts, WANDB_SILENT="true").seconds
    )
