"""Per-step overhead of Lightning that we disable, without patching it.

Each of these costs 20 to 100 microseconds per step, of the 2,000 that a step of a small network takes.
``tests/models/test_lightning_speedups.py`` counts the calls that they save, so that a change in Lightning is noticed.
"""

import ctypes
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


class PlainHookName:
    """Mixin of a LightningModule: Lightning sets the name of the current hook fifty times per step.

    ``torch.nn.Module`` would check each time whether the string is a parameter, a buffer or a module.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)


class NoProfiler(PassThroughProfiler):
    """Replaces the context manager that Lightning enters a hundred times per step, even without a profiler."""

    def profile(self, action_name: str) -> Any:
        return NOTHING


def drop_empty_hooks(callbacks: Iterable[Callback]) -> None:
    """Skip the step hooks that the ``callbacks`` of this project and of Lightning do not override.

    Lightning skips a hook that is None, and calls an empty one at every step. Users' callbacks are left alone: one that
    is wrapped or patched later would lose its hook.
    """
    for callback in callbacks:
        for hook in STEP_HOOKS:
            if getattr(type(callback), hook) is getattr(Callback, hook):
                setattr(callback, hook, None)


def look_for_gpus_once() -> None:
    """On a machine without a GPU, let torch check for GPUs without NVIDIA's library.

    torch.optim.Adam checks at every step, and Lightning sets the variable that makes each check open NVIDIA's library.
    """
    if not torch.cuda.is_available():
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def keep_freed_memory() -> bool:
    """Keep the memory that one step frees for the next step, as torch does on a GPU; returns whether that is possible.

    glibc returns large blocks to the system, which zeroes them page by page when they are requested again. That takes
    up to half of a large step on the CPU. This changes the allocator of the whole process, hence
    ``trainer.keep_freed_memory``.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc: musl, macOS, Windows
        return False
    mallopt(M_MMAP_THRESHOLD, 2**30)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    return True
