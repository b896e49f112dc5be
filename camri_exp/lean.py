"""What happens at every step that nobody here needs, left out without touching Lightning or torch.

Each of Lightning's costs some 20 to 100 microseconds a step, of the 2,000 that a step of a small network takes.
"""

import ctypes
import inspect
import os
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.profilers import PassThroughProfiler

NOTHING: nullcontext[None] = nullcontext()
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


class NoProfiler(PassThroughProfiler):
    """Lightning puts a hundred calls a step into a generator's context, be there a profiler or not."""

    def profile(self, action_name: str) -> Any:
        return NOTHING


def drop_empty_hooks(callbacks: Iterable[Callback]) -> None:
    """Lightning passes over a hook that is None; an empty one it calls at every step, with its callback spelled out."""
    for callback in callbacks:
        for hook in STEP_HOOKS:
            if getattr(type(callback), hook) is getattr(Callback, hook):
                setattr(callback, hook, None)


def inspected_once(function: Any) -> Any:
    """Lightning asks at every step which arguments ``training_step`` takes; where this stands, ``inspect`` is done."""
    function.__signature__ = inspect.signature(function)
    return function


def look_for_gpus_once() -> None:
    """Where there is no GPU: Adam asks for one at every step, and as Lightning has it, by opening NVIDIA's library."""
    if not torch.cuda.is_available():
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def keep_freed_memory() -> None:
    """For training on the CPU: what one step frees is there for the next, as torch does it on a GPU.

    glibc hands large blocks back to the system, which then zeroes them page by page again: up to half of a step.
    Other C libraries do without.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc: musl, macOS, Windows
        return
    mallopt(M_MMAP_THRESHOLD, 2**30)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
