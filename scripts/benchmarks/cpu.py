"""Without a GPU: precision, memory format, threads and compiling

A training step of `camri_cnn` on batches of 64 random pictures of 32 pixels, against contiguous float32 on all threads.
`channels_last` is the default of `model.channels_last`: it costs nothing and computes the same up to rounding.
bf16 (`trainer.precision=bf16-mixed`) pays where the processor has instructions for it (AVX-512 BF16 or AMX, as here;
`lscpu` tells), and is what the `_cpu` experiments choose; elsewhere it is slower than float32, hence not the default.
One run uses all cores best by threads as long as its steps are large; many small runs are faster side by side on one
thread each (`OMP_NUM_THREADS=1`). Compiling pays in runs longer than its break-even; where a
compiled step is no faster, it never does, and no break-even is shown. The trainer keeps the memory that a step
frees, which the C library would hand back to the system and get again, zeroed; the last row, of the small CNN on
batches of 512 in float32, shows what that saves.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks._frame import Row, in_turn, nothing_compiled_yet, process
from camri_exp.models.cnns import CamriCNN

BATCH = 64
STEPS = """
import sys, time, torch
from camri_exp.models import lightning_speedups as lean
from camri_exp.models.cnns import SmallCNN
if "kept" in sys.argv:
    lean.keep_freed_memory()
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


def measure(quick: bool) -> list[Row]:
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
    found = in_turn(repeats, **variants)
    base, *others = found
    target = {"channels-last float32 (the default)": "ratio <= 1"}
    rows = [
        Row.of(what, [1e3 * s for s in found[what]], "ms", base, [1e3 * s for s in found[base]], target.get(what, ""))
        for what in others
    ]
    return rows if quick else [*rows, *compiled(width, repeats), freed_memory(repeats)]


def freed_memory(repeats: int) -> Row:
    """A step that keeps the memory it frees, in processes of their own, against one that does not."""

    def milliseconds(*arguments: str) -> Callable[[], float]:
        return lambda: float(process("-c", STEPS, *arguments).out)

    found = in_turn(repeats, kept=milliseconds("kept"), given_back=milliseconds())
    return Row.of("freed memory kept", found["kept"], "ms", "given back", found["given_back"], "ratio <= 1")


def compiled(width: float, repeats: int) -> list[Row]:
    """The same with ``torch.compile``, in bf16 and channels-last, and after how many pictures it has paid."""
    eager, fast = (step(width, channels_last=True, bf16=True, compile=on) for on in (False, True))
    begin = time.perf_counter()
    with nothing_compiled_yet():
        fast()
    compiling = time.perf_counter() - begin
    found = in_turn(repeats, eager=_seconds(eager), fast=_seconds(fast))
    times = {name: [1e3 * s for s in seconds] for name, seconds in found.items()}
    row = Row.of("channels-last bf16, compiled", times["fast"], "ms", "not compiled", times["eager"])
    pictures = break_even(compiling, row.against or 0, row.ours)
    what = "compiling has paid after" if pictures < float("inf") else "compiling never pays"
    rows = [row, Row.of("compiling takes", [compiling], "s")]
    return rows + [Row.of(what, [pictures / 1000], "thousand pictures")] * (pictures < float("inf"))


def break_even(compiling: float, before_ms: float, after_ms: float, batch: int = BATCH) -> float:
    """Pictures until ``compiling`` seconds are won back by steps that take ``after_ms`` and not ``before_ms``."""
    gain = (before_ms - after_ms) / 1e3
    return batch * compiling / gain if gain > 0 else float("inf")


def step(width: float, channels_last: bool, bf16: bool, compile: bool = False) -> Step:
    """A training step: forward, backward, Adam."""
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
