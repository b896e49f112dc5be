"""On a GPU: the same bare loop, several runs at once, compiling, and CIFAR-10 to 94 %

Everything here is bf16 around a float32 head, channels-last, with the pictures on the GPU. cuDNN's convolutions may use
TF32, which is torch's default; the head's product does not, because a cosine rounded to TF32's ten bits is off by a
good part of a margin near 0 degrees. The speed-run is airbench94 (github.com/KellerJordan/cifar10-airbench), on its own
hardware, an A100, by its author's figure, without compiling and imports, as ours is `fit_seconds`.
"""

import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks import _training as training
from benchmarks._frame import Row, UnavailableError
from benchmarks.cpu import break_even

SPEED_RUN_SECONDS, SPEED_RUN = 2.6, "airbench94 on an A100, its author's figure"


def measure(quick: bool) -> list[Row]:
    if not torch.cuda.is_available():
        raise UnavailableError("no GPU on this machine")
    rows = [
        row
        for batch, steps in ((64, 200), (512, 80), (2048, 20))
        for row in throughput(*arguments("gpu", "camri_cnn", batch, 2 if quick else steps, 2 if quick else 6))
    ]
    rows += compiling(*arguments("gpu", "camri_cnn", 512, 2 if quick else 80, 2 if quick else 6)[1])
    return rows + several((1, 2) if quick else (1, 2, 4, 8), "gpu", quick) + speed_run(quick)


def arguments(trainer: str, model: str, batch: int, steps: int, epochs: int) -> tuple[str, tuple[str, ...]]:
    """What is measured, and its overrides; the first epoch warms up."""
    data = "cifar10" if model == "camri_cnn" else "digits"
    return f"`{model}`, batch {batch:,}", (
        *(f"trainer={trainer}", f"model={model}", f"data={data}", f"data.batch_size={batch}"),
        *(f"trainer.limit_train_batches={steps}", f"trainer.max_epochs={epochs + 1}", "trainer.limit_val_batches=1"),
    )


def throughput(what: str, overrides: tuple[str, ...]) -> list[Row]:
    """Images a second beside the bare loop, and how often a step waits for the device."""
    ours, against = training.speeds(training.config(*overrides))
    waits = waits_a_step(overrides)
    return [
        Row.of(what, ours, "images/s", "bare loop", against, "ratio >= 0.97"),
        Row.of(f"{what}, waits for the device", [waits], "a step", target="ours <= 0.1"),
    ]


def waits_a_step(overrides: tuple[str, ...]) -> float:
    """Synchronising calls within the steps of an epoch, over its steps; torch warns of each. The CPU has none."""
    cfg = training.config(*overrides, "trainer.max_epochs=1")
    data, model = training.parts(cfg)
    counter = Waits()
    with training.trainer(cfg, counter) as one:
        one.fit(model, datamodule=data)
    return counter.found / cfg.trainer.limit_train_batches


class Waits(training.pl.Callback):
    """Counts torch's warnings of synchronising calls from an epoch's second step to its last but one."""

    found = 0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 1 and torch.cuda.is_available():
            self.catcher = warnings.catch_warnings(record=True)
            self.caught = self.catcher.__enter__()
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")

    def on_train_batch_end(
        self, trainer: training.pl.Trainer, module: object, out: object, batch: object, i: int
    ) -> None:
        if i == trainer.num_training_batches - 2 and torch.cuda.is_available() and i >= 1:
            torch.cuda.set_sync_debug_mode("default")
            self.found = sum("synchroniz" in str(one.message) for one in self.caught or ())
            self.catcher.__exit__(None, None, None)


def compiling(*overrides: str) -> list[Row]:
    """``model.compile=true``: the gain a step, and after how many epochs of CIFAR-10 it has paid."""
    eager, _ = training.speeds(training.config(*overrides))
    cfg = training.config(*overrides, "model.compile=true")
    fast, _ = training.speeds(cfg)
    both = Row.of("`camri_cnn`, batch 512, compiled", fast, "images/s", "not compiled", eager[: len(fast)])
    first, batch = training.first_step_seconds(cfg), cfg.data.batch_size
    pictures = break_even(first, 1e3 * batch / (both.against or 1), 1e3 * batch / both.ours, batch)
    rows = [both, Row.of("the first step with compiling", [first], "s")]
    if pictures < float("inf"):
        rows.append(Row.of("compiling has paid after", [pictures / 45_000], "epochs of CIFAR-10"))
    return rows


def several(counts: tuple[int, ...], trainer: str, quick: bool, model: str = "camri_cnn") -> list[Row]:
    """Runs at once on one device: images a second of all together, against one alone."""
    totals = {count: at_once(count, trainer, model, 2 if quick else 4) for count in counts}
    alone = totals[counts[0]]
    return [
        Row.of(f"{count} runs at once, together", [total], "images/s", "one alone", [alone])
        for count, total in totals.items()
    ]


def at_once(count: int, trainer: str, model: str, epochs: int) -> float:
    """Images a second of ``count`` processes together; each reports its own over all epochs but the first."""
    data, batch = ("cifar10", 512) if model == "camri_cnn" else ("digits", 64)
    with tempfile.TemporaryDirectory() as folder:
        overrides = (f"trainer={trainer}", f"model={model}", f"data={data}", f"data.batch_size={batch}", "logger=none")
        runs = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "camri_exp.train", *overrides, f"seed={seed}"),
                    *(f"trainer.max_epochs={epochs}", f"hydra.run.dir={folder}/{seed}"),
                ],
                stdout=subprocess.DEVNULL,
            )
            for seed in range(count)
        ]
        if failed := [run.returncode for run in runs if run.wait()]:
            raise RuntimeError(f"{len(failed)} of {count} runs failed")
        results = [json.loads(path.read_text()) for path in Path(folder).glob("*/result.json")]
    return sum(result["images_per_second"] for result in results)


def speed_run(quick: bool) -> list[Row]:
    """``experiment=cifar10_fast``: test accuracy, and seconds of training."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1 if quick else 3):
            command = ["-m", "camri_exp.train", "experiment=cifar10_fast", "loss=ce", "logger=none", f"seed={seed}"]
            short = ["trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1"] if quick else []
            run = Path(folder) / str(seed)
            subprocess.run([sys.executable, *command, *short, f"hydra.run.dir={run}"], check=True, stdout=sys.stderr)
            results.append(json.loads((run / "result.json").read_text()))
    accuracy = [100 * result["test"]["accuracy"] for result in results]
    seconds = [result["fit_seconds"] for result in results]
    return [
        Row.of("`experiment=cifar10_fast`, test accuracy", accuracy, "%", target="ours >= 94"),
        Row.of("`experiment=cifar10_fast`", seconds, "s", SPEED_RUN, [SPEED_RUN_SECONDS] * len(seconds)),
    ]
