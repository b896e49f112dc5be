"""On a GPU: the same bare loop, several runs at once, compilation, and CIFAR-10 to 94 %

All runs use bf16 with a float32 head, channels-last, with the images on the GPU. The convolutions of cuDNN may use
TF32, which is the default of torch; the product in the head does not, because a cosine rounded to the ten bits of TF32
is wrong by a good part of a margin near 0 degrees. The speed run is airbench94 on an A100, as reported by its author
(github.com/KellerJordan/cifar10-airbench), without compilation and imports; ours is `fit_seconds`.
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
from benchmarks._harness import Measurement, UnavailableError
from benchmarks.cpu import break_even

SPEED_RUN_SECONDS, SPEED_RUN = 2.6, "airbench94 on an A100, as reported by its author"


def measure(quick: bool) -> list[Measurement]:
    if not torch.cuda.is_available():
        raise UnavailableError("no GPU on this machine")
    measurements = [
        measurement
        for batch, steps in ((64, 200), (512, 80), (2048, 20))
        for measurement in throughput(*arguments("gpu", "camri_cnn", batch, 2 if quick else steps, 2 if quick else 6))
    ]
    measurements += compiling(*arguments("gpu", "camri_cnn", 512, 2 if quick else 80, 2 if quick else 6)[1])
    return measurements + several((1, 2) if quick else (1, 2, 4, 8), "gpu", quick) + speed_run(quick)


def arguments(trainer: str, model: str, batch: int, steps: int, epochs: int) -> tuple[str, tuple[str, ...]]:
    """The name of a case and its overrides, with one more epoch than ``epochs``, which warms up."""
    data = "cifar10" if model == "camri_cnn" else "digits"
    return f"`{model}`, batch {batch:,}", (
        *(f"trainer={trainer}", f"model={model}", f"data={data}", f"data.batch_size={batch}"),
        *(f"trainer.limit_train_batches={steps}", f"trainer.max_epochs={epochs + 1}", "trainer.limit_val_batches=1"),
    )


def throughput(what: str, overrides: tuple[str, ...]) -> list[Measurement]:
    """Images per second against the bare loop, and how often a step waits for the device."""
    ours, against = training.speeds(training.config(*overrides))
    waits = waits_per_step(overrides)
    return [
        Measurement.of(what, ours, "images/s", "bare loop", against, "ratio >= 0.97"),
        Measurement.of(f"{what}, waits for the device", [waits], "per step", target="ours <= 0.1"),
    ]


def waits_per_step(overrides: tuple[str, ...]) -> float:
    """Synchronising calls within the steps of one epoch, per step; torch warns of each. On the CPU there are none."""
    cfg = training.config(*overrides, "trainer.max_epochs=1")
    data, model = training.prepared(cfg)
    counter = Waits()
    with training.trainer(cfg, counter) as trainer:
        trainer.fit(model, datamodule=data)
    return counter.count / cfg.trainer.limit_train_batches


class Waits(training.pl.Callback):
    """Counts torch's warnings of synchronising calls from the second step of an epoch to its last but one."""

    count = 0

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
            self.count = sum("synchroniz" in str(warning.message) for warning in self.caught or ())
            self.catcher.__exit__(None, None, None)


def compiling(*overrides: str) -> list[Measurement]:
    """``model.compile=true``: the gain per step, and after how many epochs of CIFAR-10 it pays off."""
    eager, _ = training.speeds(training.config(*overrides))
    cfg = training.config(*overrides, "model.compile=true")
    fast, _ = training.speeds(cfg)
    both = Measurement.of("`camri_cnn`, batch 512, compiled", fast, "images/s", "not compiled", eager[: len(fast)])
    first, batch = training.first_step_seconds(cfg), cfg.data.batch_size
    images = break_even(first, 1e3 * batch / (both.against or 1), 1e3 * batch / both.ours, batch)
    measurements = [both, Measurement.of("first step, including compilation", [first], "s")]
    if images < float("inf"):
        measurements.append(Measurement.of("compilation pays off after", [images / 45_000], "epochs of CIFAR-10"))
    return measurements


def several(counts: tuple[int, ...], trainer: str, quick: bool, model: str = "camri_cnn") -> list[Measurement]:
    """Several runs at once on one device: images per second of all together, against a single run."""
    totals = {count: at_once(count, trainer, model, 2 if quick else 4) for count in counts}
    single = totals[counts[0]]
    return [
        Measurement.of(f"{count} runs at once, total", [total], "images/s", "single run", [single])
        for count, total in totals.items()
    ]


def at_once(count: int, trainer: str, model: str, epochs: int) -> float:
    """Total images per second of ``count`` processes; each reports its speed over all epochs but the first."""
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


def speed_run(quick: bool) -> list[Measurement]:
    """Test accuracy and seconds of training of ``experiment=cifar10_fast``."""
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
        Measurement.of("`experiment=cifar10_fast`, test accuracy", accuracy, "%", target="ours >= 94"),
        Measurement.of("`experiment=cifar10_fast`", seconds, "s", SPEED_RUN, [SPEED_RUN_SECONDS] * len(seconds)),
    ]
