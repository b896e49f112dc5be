"""Learning-rate schedules that also work for very short runs."""

import logging
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, OneCycleLR

log = logging.getLogger(__name__)
FEWEST_STEPS = 4


def one_cycle(
    optimizer: Optimizer, total_steps: int, max_lr: float, pct_start: float = 0.25, **options: Any
) -> LRScheduler:
    """The one-cycle schedule (Smith & Topin 2018, arXiv:1708.07120), with a warm-up of at least two steps.

    ``torch.optim.lr_scheduler.OneCycleLR`` divides by zero where the warm-up ends after one step, and trains a run of a
    single step with a rate of nearly zero. Fewer than four steps are trained at the constant rate of the optimizer.

    Args:
        optimizer: whose rate is changed.
        total_steps: the number of steps of the run.
        max_lr: the peak; a group of parameters with an ``lr_scale`` has that multiple of it.
        pct_start: the share of the steps until the peak.
        options: further arguments of ``OneCycleLR``.
    """
    if total_steps < FEWEST_STEPS:
        log.warning("one_cycle: %d steps are too few for a cycle; the learning rate stays at optimizer.lr", total_steps)
        return ConstantLR(optimizer, factor=1.0, total_iters=total_steps)
    peaks = [max_lr * group.get("lr_scale", 1.0) for group in optimizer.param_groups]
    return OneCycleLR(optimizer, peaks, total_steps, pct_start=max(pct_start, 2 / total_steps), **options)
