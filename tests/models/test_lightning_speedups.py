"""What is left out at every step is nothing that anybody asked for."""

import inspect
import subprocess
import sys
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.signature_utils import is_param_in_hook_signature

from camri_exp.models.lightning_speedups import STEP_HOOKS, NoProfiler, drop_empty_hooks, inspected_once

FAULTS = """
import resource, sys, torch
from camri_exp.models.lightning_speedups import keep_freed_memory
if sys.argv[1]:
    keep_freed_memory()
for _ in range(3):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


class Counting(pl.Callback):
    def on_train_batch_end(self, *_: Any) -> None: ...


def test_hooks_that_do_something_stay_and_empty_ones_are_passed_over() -> None:
    counting, checkpoint = Counting(), ModelCheckpoint()
    drop_empty_hooks([counting, checkpoint])
    assert [hook for hook in STEP_HOOKS if getattr(counting, hook) is not None] == ["on_train_batch_end"]
    assert checkpoint.on_train_batch_end is not None
    assert checkpoint.on_before_zero_grad is None


def test_the_hooks_are_lightnings() -> None:
    """Should Lightning rename one, the list follows."""
    assert all(callable(getattr(pl.Callback, hook)) for hook in STEP_HOOKS)


def test_what_is_inspected_once_takes_the_same_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain:
        def training_step(self, batch: int, batch_idx: int = 0) -> None: ...

    class Lean:
        @inspected_once
        def training_step(self, batch: int, batch_idx: int = 0) -> None: ...

    assert inspect.getfullargspec(Lean().training_step) == inspect.getfullargspec(Plain().training_step)
    assert is_param_in_hook_signature(Lean().training_step, "batch_idx", min_args=2)
    monkeypatch.setattr(inspect, "_signature_from_function", None)  # no second look
    assert inspect.getfullargspec(Lean().training_step).args == ["self", "batch", "batch_idx"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_freed_memory_is_not_zeroed_again_at_every_step() -> None:
    """Page faults of ten large allocations in a process of their own, once the first ones have theirs."""
    faults = {kept: int(subprocess.check_output([sys.executable, "-c", FAULTS, kept])) for kept in ("kept", "")}
    assert faults["kept"] < 100
    assert faults[""] > 10_000


def test_an_error_within_a_profiled_part_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError), NoProfiler().profile("part"):
        raise ZeroDivisionError
