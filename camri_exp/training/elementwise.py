"""Whether an optimizer treats each element of a parameter alone, as Adam and SGD do."""

from collections.abc import Callable
from typing import Any

import torch

TOLERANCE = 1e-6


def is_elementwise(make: Callable[[Any], torch.optim.Optimizer]) -> bool:
    """Whether a stack of two parameters is updated as the two are alone, tried with three random gradients."""
    generator = torch.Generator().manual_seed(0)
    start, *gradients = torch.randn(4, 2, 3, 5, generator=generator)
    together, apart = start.clone(), [row.clone() for row in start]
    try:
        one, two = make([together]), make(apart)
        for gradient in gradients:
            together.grad = gradient.clone()
            for value, part in zip(apart, gradient, strict=True):
                value.grad = part.clone()
            one.step()
            two.step()
    except Exception:  # an optimizer that needs more than gradients
        return False
    return torch.allclose(together, torch.stack(apart), rtol=TOLERANCE, atol=TOLERANCE)
