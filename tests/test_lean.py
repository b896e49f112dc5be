"""What is left out at every step is nothing that anybody asked for."""

from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from camri_exp.lean import STEP_HOOKS, NoProfiler, drop_empty_hooks


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


def test_an_error_within_a_profiled_part_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError), NoProfiler().profile("part"):
        raise ZeroDivisionError
