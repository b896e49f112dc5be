"""Without a GPU: precision, memory format, threads and compiling

A training step of `camri_cnn` on batches of 64 random images of 32 pixels, compared with contiguous float32 on all
threads. `model.channels_last=true` is the default: it costs nothing and computes the same up to rounding. bf16
(`trainer.precision=bf16-mixed`) is faster where the processor has instructions for it (AVX-512 BF16 or AMX, as here;
`lscpu` lists them), and the `_cpu` experiments use it; elsewhere it is slower than float32, hence not the default. A
single run uses all cores best with several threads as long as its steps are large; many small runs are faster in
parallel with one thread each (`OMP_NUM_THREADS=1`). Compilation pays off in runs longer than its break-even; where a
compiled step is not faster, it never does, and no break-even is shown. With `trainer.keep_freed_memory=true` the
process keeps the memory that a step frees, which the C library would otherwise return to the system and request again,
zeroed; the last line, measured with the small CNN on batches of 512 in float32, shows what that saves.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks._harness import Measurement, in_turn, nothing_compiled_yet, process
from camri_exp.models.cnns import CamriCNN

BATCH = 64
STEPS = """
import sys, time, torch
from camri_exp.models.lightning_speedups import keep_freed_memory
from camri_exp.models.cnns import SmallCNN
if "kept" in sys.argv:
    keep_freed_memory()
model = torch.nn.Sequential(SmallCNN(), torch.nn.Linear(128, 10)).to(memory_format=torch.channels_last)
images = torch.randn(512, 3, 32, 32).contiguous(memory_format=torch.channels_last)
target = torch.randint(0, 10, (512,))
for step in range(10):
    if step == 2:
        begin = time.perf_counter()
    torch.nn.functional.cross_entropy(model(images), target).backward()
print((time.perf_counter() - begin) / 8 * 1e3)
"""
Step = Callable[[], object]


def measure(quick: bool) -> list[Measurement]:
    width, repeats = (0.125, 1) if quick else (1.0, 5)
    threads = torch.get_num_threads()
    plain = {"channels_last": False, "bf16": False}
    variants: dict[str, Callable[[], float]] = {
        "contiguous float32": _seconds(step(width, **plain), threads),
        "channels-last float32 (the default)": _seconds(step(width, channels_last=True, bf16=False), threads),
        "contiguous bf16": _seconds(step(width, channels_last=False, bf16=True), threads),
        "channels-last bf16": _seconds(step(width, channels_last=True, bf16=True), threads),
    }
    if threads > 1:
        variants["channels-last float32, one thread"] = _seconds(step(width, channels_last=True, bf16=False), 1)
        variants["channels-last bf16, one thread"] = _seconds(step(width, channels_last=True, bf16=True), 1)
    times = {name: [1e3 * s for s in values] for name, values in in_turn(repeats, **variants).items()}
    base, *others = times
    target = {"channels-last float32 (the default)": "ratio <= 1"}
    measurements = [Measurement.of(what, times[what], "ms", base, times[base], target.get(what, "")) for what in others]
    return measurements if quick else [*measurements, *compiled(width, repeats), freed_memory(repeats)]


def freed_memory(repeats: int) -> Measurement:
    """A step in a process that keeps freed memory, against one in a process that does not."""

    def milliseconds(*arguments: str) -> Callable[[], float]:
        return lambda: float(process("-c", STEPS, *arguments).out)

    times = in_turn(repeats, kept=milliseconds("kept"), returned=milliseconds())
    return Measurement.of("freed memory kept", times["kept"], "ms", "returned", times["returned"], "ratio <= 1")


def compiled(width: float, repeats: int) -> list[Measurement]:
    """A step with ``torch.compile``, in bf16 and channels-last, and after how many images it pays off."""
    eager, fast = (step(width, channels_last=True, bf16=True, compile=on) for on in (False, True))
    begin = time.perf_counter()
    with nothing_compiled_yet():
        fast()
    compiling = time.perf_counter() - begin
    values = in_turn(repeats, eager=_seconds(eager), fast=_seconds(fast))
    times = {name: [1e3 * s for s in seconds] for name, seconds in values.items()}
    step_time = Measurement.of("channels-last bf16, compiled", times["fast"], "ms", "not compiled", times["eager"])
    measurements = [step_time, Measurement.of("time to compile", [compiling], "s")]
    images = break_even(compiling, step_time.against or 0, step_time.ours)
    if images < float("inf"):
        measurements.append(Measurement.of("compilation pays off after", [images / 1000], "thousand images"))
    return measurements


def break_even(compiling: float, before_ms: float, after_ms: float, batch: int = BATCH) -> float:
    """Images after which ``compiling`` seconds are recovered by steps of ``after_ms`` instead of ``before_ms``.

    Infinity where the steps are not faster.
    """
    gain = (before_ms - after_ms) / 1e3
    return batch * compiling / gain if gain > 0 else float("inf")


def step(width: float, channels_last: bool, bf16: bool, compile: bool = False) -> Step:
    """A function that does one training step: forward, backward, Adam."""
    torch.manual_seed(0)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    model = torch.nn.Sequential(CamriCNN(width=width), torch.nn.Linear(max(8, int(512 * width)), 10))
    model = model.to(memory_format=memory_format)
    images = torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=memory_format)
    target = torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    if compile:
        model.compile()

    def run() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            scores = model(images)
        loss = torch.nn.functional.cross_entropy(scores.float(), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return run


def _seconds(run: Step, threads: int | None = None) -> Callable[[], float]:
    def measure() -> float:
        before = torch.get_num_threads()
        torch.set_num_threads(threads or before)
        begin = time.perf_counter()
        run()
        elapsed = time.perf_counter() - begin
        torch.set_num_threads(before)
        return elapsed

    return measure
