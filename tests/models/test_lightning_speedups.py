"""The speed-ups save calls at every training step, and disable nothing that anyone uses."""

import subprocess
import sys
from types import FrameType
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from camri_exp.models.classifier import Classifier
from camri_exp.models.lightning_speedups import STEP_HOOKS, NoProfiler, drop_empty_hooks
from tests.helpers.classifiers import small_classifier
from tests.helpers.tiny import TinyDataModule

FIRST_COUNTED, COUNTED = 2, 3  # steps: the first ones build what later ones reuse

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


class CountedClassifier(Classifier):
    """Counts the calls of Python and C functions during some steps."""

    calls = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        if batch_idx == FIRST_COUNTED:
            sys.setprofile(self._count)
        elif batch_idx == FIRST_COUNTED + COUNTED:
            sys.setprofile(None)
        return super().training_step(batch, batch_idx)

    def _count(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            # Not by ``self.calls``, whose cost this test is about.
            CountedClassifier.calls += 1


class CheckedHookNames(CountedClassifier):
    """Without ``PlainHookName``."""

    __setattr__ = pl.LightningModule.__setattr__


class EmptyCallback(pl.Callback):
    """Stands for a callback of this project that overrides no step hook."""


def calls_per_step(kind: type[CountedClassifier], profiler: Any, drop: bool) -> float:
    data = TinyDataModule(batch_size=8, image_size=8)
    data.setup()
    callbacks = [EmptyCallback(), EmptyCallback()]
    if drop:
        drop_empty_hooks(callbacks)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=FIRST_COUNTED + COUNTED + 1,
        callbacks=callbacks,
        profiler=profiler,
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_val_batches=0,
    )
    model = small_classifier(kind)
    CountedClassifier.calls = 0
    try:
        trainer.fit(model, datamodule=data)
    finally:
        sys.setprofile(None)
    return CountedClassifier.calls / COUNTED


def test_each_speedup_saves_calls_at_every_step() -> None:
    """Fails where a change in Lightning leaves one without effect. Each limit is half of what Lightning 2.6 shows."""
    fast = calls_per_step(CountedClassifier, NoProfiler(), drop=True)
    saved = {
        "PlainHookName": calls_per_step(CheckedHookNames, NoProfiler(), drop=True) - fast,
        "NoProfiler": calls_per_step(CountedClassifier, None, drop=True) - fast,
        "drop_empty_hooks": calls_per_step(CountedClassifier, NoProfiler(), drop=False) - fast,
    }
    assert saved["PlainHookName"] > 240
    assert saved["NoProfiler"] > 68
    assert saved["drop_empty_hooks"] > 48  # of the two callbacks


class Counting(pl.Callback):
    def on_train_batch_end(self, *_: Any) -> None: ...


def test_hooks_that_are_overridden_stay_and_empty_ones_are_skipped() -> None:
    counting, checkpoint = Counting(), ModelCheckpoint()
    drop_empty_hooks([counting, checkpoint])
    assert [hook for hook in STEP_HOOKS if getattr(counting, hook) is not None] == ["on_train_batch_end"]
    assert checkpoint.on_train_batch_end is not None
    assert checkpoint.on_before_zero_grad is None


def test_the_hooks_exist_in_lightning() -> None:
    """Fails where Lightning renames one, so that the list can follow."""
    assert all(callable(getattr(pl.Callback, hook)) for hook in STEP_HOOKS)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_freed_memory_is_not_zeroed_again_at_every_step() -> None:
    """Counts the page faults of ten large allocations in a new process, after three that fault in any case."""
    faults = {kept: int(subprocess.check_output([sys.executable, "-c", FAULTS, kept])) for kept in ("kept", "")}
    assert faults["kept"] < 100
    assert faults[""] > 10_000


def test_an_error_within_a_profiled_part_is_raised() -> None:
    with pytest.raises(ZeroDivisionError), NoProfiler().profile("part"):
        raise ZeroDivisionError
