"""The LightningModule without a trainer; tests/test_train.py tests it in training."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from camri_exp.models.classifier import Classifier

STEPS = 200


@pytest.mark.parametrize(
    "make",
    [
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=STEPS),
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS),
    ],
)
def test_a_schedule_that_has_ended_keeps_its_last_rate(make: Callable[[Any], Any]) -> None:
    """As in a finished run that is resumed for more epochs."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, rates = make(optimizer), []
    optimizer.step()
    for _ in range(3 * STEPS):
        Classifier.lr_scheduler_step(None, scheduler, None)  # type: ignore[arg-type]
        rates.append(optimizer.param_groups[0]["lr"])
    assert set(rates[STEPS - 1 :]) == {rates[STEPS - 1]}
    assert rates[STEPS - 1] < 0.01 < rates[STEPS // 2]
