"""Batches for the tests of losses, and the value and gradients of a loss through its head."""

from typing import Any

import torch
import yaml
from torch import Tensor, nn

from camri_exp import losses
from camri_exp.cli import CONFIGS
from camri_exp.models.heads import CosineHead, LinearHead

HEADS: dict[str, Any] = {head.score_type: head for head in (CosineHead, LinearHead)}

# Settings that differ from those of configs/loss: no special case of another loss, and defined for few classes.
CHANGED: dict[str, dict[str, Any]] = {
    "CrossEntropyLoss": {"label_smoothing": 0.1},
    "ClassBalancedLoss": {"beta": 0.999},
    "RealWorldWeightedCrossEntropyLoss": {"false_positive": 0.5},
    "FocalLoss": {"gamma": 0.5},
    "OutlyingLabelMSELoss": {"alpha": 3.0},
    "LDAMLoss": {"scale": 16.0},
    "ArcFaceLoss": {"margin": 0.4},
    "CAMRILoss": {"margin": 0.4, "other_margin": 0.1},
    "VectorScalingLoss": {"weight": 2.0},
}


def configured() -> dict[str, dict[str, Any]]:
    """The settings of every loss of ``configs/loss``, by the name of its class, so that new losses are tested too."""
    settings = {}
    for path in sorted((CONFIGS / "loss").glob("*.yaml")):
        content = yaml.safe_load(path.read_text())
        name = content["_target_"].rpartition(".")[2]
        kept = {key: value for key, value in content.items() if key not in ("defaults", "name", "_target_")}
        settings[name] = kept | CHANGED.get(name, {})
    return settings


# K classes, of which 1 is important, and 2 too where K > 2.
SETTINGS = configured()


def build(name: str, num_classes: int = 5, **changed: Any) -> losses.Loss:
    """The loss ``name`` with the settings above, and with the facts of the task that it declares in ``needs``.

    ``changed`` replaces settings, and facts where the loss needs them.
    """
    facts = {
        "num_classes": num_classes,
        "important_class": [1, 2] if num_classes > 2 else 1,
        "class_counts": [10 + 7 * k for k in range(num_classes)],
    }
    make = getattr(losses, name)
    settings = SETTINGS[name] | changed
    needed = {key: settings.pop(key, value) for key, value in facts.items() if key in make.needs}
    return make(**needed, **{key: value for key, value in settings.items() if key not in facts})


def batch(
    num_classes: int = 5, size: int = 40, features: int = 8, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Features (N, D) that need a gradient, and targets (N,)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(size, features, generator=generator, dtype=torch.float64).to(dtype)
    return drawn.requires_grad_(), torch.randint(num_classes, (size,), generator=generator)


def head_for(
    loss: losses.Loss, num_classes: int = 5, features: int = 8, dtype: torch.dtype = torch.float64
) -> nn.Module:
    """The head whose scores ``loss`` works on; its weights do not depend on the state of the global generator."""
    head = HEADS[loss.score_type](features, num_classes)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return head.to(dtype)


def value_and_gradients(value: Tensor, *inputs: Tensor) -> list[Tensor]:
    """``value`` and its gradients with respect to ``inputs``."""
    return [value.detach(), *torch.autograd.grad(value, inputs)]


def assert_same(ours: list[Tensor], theirs: list[Tensor], dtype: torch.dtype = torch.float64) -> None:
    """Values and gradients agree to 1e-10 in float64 and 1e-5 in float32, absolutely and relatively."""
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=tolerance, atol=tolerance)
