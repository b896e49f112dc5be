"""Many losses as few calls: those that differ in numbers alone are mapped over a stack of them.

No loss is known by name. Tensors that a loss registers, and its attributes that are floats, become stacks; what else it
has must be equal. Whether the map gives each loss's own value is tried on random scores before it is used.
"""

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from camri_exp.losses.base import Loss

StackedLoss = Callable[[Tensor, Tensor], Tensor]  # scores (H, N, K) and targets (H, N) to H losses
TOLERANCE = 1e-5


def loss_groups(losses: Sequence[Loss], num_classes: int) -> list[tuple[list[int], StackedLoss]]:
    """Indices of losses that are one call, and the call, for as few groups as possible."""
    groups: list[tuple[list[int], StackedLoss]] = []
    for kind in (_kind, _exact_kind):
        done = {index for indices, _ in groups for index in indices}
        waiting = defaultdict(list)
        for index, loss in enumerate(losses):
            if index not in done:
                waiting[kind(loss)].append(index)
        for indices in waiting.values():
            members = [losses[index] for index in indices]
            if _agrees(mapped := MappedLoss(members), members, num_classes):
                groups.append((indices, mapped))
    done = {index for indices, _ in groups for index in indices}
    return groups + [([index], one_by_one([loss])) for index, loss in enumerate(losses) if index not in done]


class MappedLoss:
    """H losses as one, ``(scores (H, N, K), target (H, N)) -> (H,)``, by ``torch.func.vmap``."""

    def __init__(self, losses: Sequence[Loss]) -> None:
        self.loss = copy.deepcopy(losses[0])
        first = losses[0]
        self.tensors = {name: torch.stack([_tensors(loss)[name] for loss in losses]) for name in _tensors(first)}
        numbers = {name: torch.tensor([_floats(loss)[name] for loss in losses]) for name in _floats(first)}
        self.numbers = {name: values for name, values in numbers.items() if (values != values[0]).any()}

    def __call__(self, scores: Tensor, target: Tensor) -> Tensor:
        tensors, numbers = ({k: v.to(scores.device) for k, v in d.items()} for d in (self.tensors, self.numbers))
        return vmap(self._one)(tensors, numbers, scores, target)

    def _one(
        self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Tensor], scores: Tensor, target: Tensor
    ) -> Tensor:
        for name, value in numbers.items():
            setattr(self.loss, name, value)
        return functional_call(self.loss, dict(tensors), (scores, target))


def one_by_one(losses: Sequence[Loss]) -> StackedLoss:
    """The losses called one after the other."""

    def call(scores: Tensor, target: Tensor) -> Tensor:
        return torch.stack([loss(s, t) for loss, s, t in zip(losses, scores, target, strict=True)])

    return call


def _tensors(loss: Loss) -> dict[str, Tensor]:
    return {**dict(loss.named_parameters()), **dict(loss.named_buffers())}


def _floats(loss: Loss) -> dict[str, float]:
    return {name: value for name, value in vars(loss).items() if isinstance(value, float)}


def _kind(loss: Loss) -> tuple[object, ...]:
    """What losses of one call have in common: the function, the shapes, and attributes that are no floats."""
    shapes = tuple((name, tuple(value.shape), value.dtype) for name, value in _tensors(loss).items())
    names = tuple(_floats(loss))
    return type(loss).forward, shapes, names, _settings(loss, str, int, bool, tuple, type(None))


def _exact_kind(loss: Loss) -> tuple[object, ...]:
    return *_kind(loss), tuple(_floats(loss).values())


def _settings(loss: Loss, *types: type) -> tuple[tuple[str, str], ...]:
    """The plain attributes of a loss that its class sets, as text."""
    own = {name: value for name, value in vars(loss).items() if not name.startswith("_") and name != "training"}
    return tuple((name, repr(value)) for name, value in own.items() if isinstance(value, types))


def _agrees(mapped: StackedLoss, losses: Sequence[Loss], num_classes: int) -> bool:
    """Whether ``mapped`` gives the values and gradients of the losses."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(len(losses), 6, num_classes, generator=generator) * 2 - 1
    target = torch.randint(num_classes, scores.shape[:2], generator=generator)
    try:
        found, expected = (_with_gradient(call, scores, target) for call in (mapped, one_by_one(losses)))
    except Exception:  # whatever torch refuses to map
        return False
    return all(
        torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        for a, b in zip(found, expected, strict=True)
    )


def _with_gradient(call: StackedLoss, scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    scores = scores.clone().requires_grad_()
    values = call(scores, target)
    return values.detach(), torch.autograd.grad(values.sum(), scores)[0]
