"""How a pretrained backbone is trained: its learning rates, its weight decay and its warm-up."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, cast

import torch
from torch import nn

from camri_exp.errors import UserError

Groups = list[dict[str, Any]]
DECAYED = 1.0  # marks the parameters whose weight decay is that of the optimizer


@dataclass(frozen=True)
class FineTuning:
    """The keys of the group ``model`` that say how the backbone is trained. The defaults train it like the head.

    Attributes:
        backbone_lr: the learning rate of the backbone, as a multiple of that of the head.
        layer_decay: each layer of the backbone has this multiple of the rate of the layer above it (Clark et al. 2020,
            arXiv:2003.10555; Bao et al. 2022, arXiv:2106.08254); 1 is one rate for all.
        decay_norms: whether weight decay applies to norms and biases too.
        freeze_below: with ``layer_decay``, layers whose multiple is below this are not trained, which saves their
            backward pass; 0 trains all.
        warmup_epochs: the rate of the backbone rises linearly from 0 in this number of epochs after ``freeze_epochs``.
    """

    backbone_lr: float = 1.0
    layer_decay: float = 1.0
    freeze_below: float = 0.0
    decay_norms: bool = True
    warmup_epochs: float = 0.0

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> "FineTuning":
        """That of a config group ``model``, which may be of an earlier version and lack keys."""
        return cls(**{field.name: model[field.name] for field in fields(cls) if field.name in model})

    def optimizer(self, make: Any, model: nn.Module, backbone: nn.Module) -> torch.optim.Optimizer:
        """The optimizer that ``make`` makes of the parameters of ``model``, in groups where they differ."""
        if self == FineTuning():
            return make(model.parameters())
        optimizer = make(self.groups(model, backbone))
        for group in optimizer.param_groups:
            group["lr"] *= group["lr_scale"]
        return optimizer

    def groups(self, model: nn.Module, backbone: nn.Module) -> Groups:
        """The parameter groups of ``model``, by timm; those of its ``backbone`` last.

        ``lr_scale`` is the multiple of the optimizer's learning rate. A linear layer that ends the backbone
        (``model.embedding``) is trained like the head.
        """
        from timm.optim import param_groups_layer_decay, param_groups_weight_decay

        network = next(backbone.children()) if isinstance(backbone, nn.Sequential) else backbone
        inside = {id(parameter) for parameter in network.parameters()}
        above = _Parameters({name: p for name, p in model.named_parameters() if id(p) not in inside})
        options: dict[str, Any] = {"weight_decay_exclude_1d": not self.decay_norms}
        if not self.decay_norms and hasattr(network, "no_weight_decay"):
            options["no_weight_decay_list"] = cast(Any, network).no_weight_decay()  # such as position embeddings
        if self.layer_decay == 1:
            below = param_groups_weight_decay(network, DECAYED, **options)
        elif hasattr(network, "group_matcher"):
            below = param_groups_layer_decay(
                network, DECAYED, layer_decay=self.layer_decay, no_opt_scale=self.freeze_below, **options
            )
        else:
            raise UserError(
                f"model.layer_decay={self.layer_decay}: {type(network).__name__} does not say what its layers are. Use "
                "model.backbone_lr, or a timm model."
            )
        return [
            *_scaled(param_groups_weight_decay(above, DECAYED, weight_decay_exclude_1d=not self.decay_norms), 1.0),
            *_scaled(below, self.backbone_lr, in_backbone=True),
        ]

    def warmup(self, epochs: float) -> float:
        """The multiple of the rate of the backbone when it has been trained for ``epochs``."""
        return min(1.0, max(0.0, epochs / self.warmup_epochs)) if self.warmup_epochs else 1.0


def freeze(backbone: nn.Module, trained: Collection[int]) -> None:
    """Stop the training of all parameters of ``backbone`` but those with an id in ``trained``, and of their norms."""
    for module in backbone.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(id(parameter) in trained for parameter in own):
            module.eval().requires_grad_(False)


class _Parameters(nn.Module):
    """Parameters under their names; timm looks at the names of biases."""

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        super().__init__()
        self.parameters_by_name = parameters

    def named_parameters(self, *_: Any, **__: Any) -> Iterator[tuple[str, nn.Parameter]]:
        return iter(self.parameters_by_name.items())


def _scaled(groups: Groups, scale: float, in_backbone: bool = False) -> Groups:
    """``groups`` of timm with our keys, and with the weight decay of the optimizer where there is any."""
    kept = [
        {key: value for key, value in group.items() if (key, value) != ("weight_decay", DECAYED)} for group in groups
    ]
    return [group | {"lr_scale": scale * group.get("lr_scale", 1.0), "in_backbone": in_backbone} for group in kept]


@contextmanager
def warmed_up(optimizer: torch.optim.Optimizer, factor: float) -> Iterator[None]:
    """Multiply the learning rates of the backbone by ``factor`` for one step; the schedule does not see it."""
    groups = [group for group in optimizer.param_groups if group.get("in_backbone")]
    rates = [group["lr"] for group in groups]
    for group in groups:
        group["lr"] *= factor
    try:
        yield
    finally:
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
