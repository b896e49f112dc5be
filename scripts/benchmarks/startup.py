"""Start: help, configs and errors before anything heavy is imported

`--help`, `--cfg job` and a wrong config need neither torch nor Lightning, and do not import them.
"""

from collections.abc import Callable

from benchmarks._frame import Row, in_turn, process_seconds

COMMANDS = {
    "`python -m camri_exp.train --help`": ("--help",),
    "`python -m camri_exp.train --cfg job`": ("--cfg", "job"),
    "a wrong key, `loss.margim=0.2`": ("loss.margim=0.2",),
    "a wrong option, `loss=camry`": ("loss=camry",),
}


def measure(quick: bool) -> list[Row]:
    def run(*arguments: str) -> Callable[[], float]:
        return lambda: process_seconds("-m", "camri_exp.train", *arguments)

    found = in_turn(
        1 if quick else 5,
        torch=lambda: process_seconds("-c", "import torch"),
        **{what: run(*arguments) for what, arguments in COMMANDS.items()},
    )
    return [Row.of(what, found[what], "s", "`import torch`", found["torch"], "ours <= 1.5") for what in COMMANDS]
