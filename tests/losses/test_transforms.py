"""The margin losses have no data-dependent branch: they compile as one graph, and map over a stack of margins."""

import pytest
import torch
from torch.func import grad, vmap

from camri_exp.losses import ArcFaceLoss
from camri_exp.losses.angular import ABOVE_PI, angular_margin_loss
from tests.helpers.loss_batches import SETTINGS, assert_same, batch, build, head_for, value_and_gradients

COSINE = [name for name in SETTINGS if build(name).score_type == "cosine"]


@pytest.mark.slow
@pytest.mark.parametrize("name", COSINE)
def test_compiles_without_a_graph_break(name: str) -> None:
    loss = build(name)
    head = head_for(loss)

    def step(features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return loss(head(features), target)

    # aot_eager traces forward and backward as inductor does, without a C compiler.
    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    for seed in (0, 1):
        features, target = batch(seed=seed)
        expected = value_and_gradients(step(features, target), features)
        assert_same(value_and_gradients(compiled(features, target), features), expected)


@pytest.mark.parametrize("above_pi", ABOVE_PI)
def test_vmap_over_a_stack_of_margins(above_pi: str) -> None:
    scores = torch.rand(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    target = torch.arange(30) % 5
    margins = torch.tensor([0.0, 0.2, 0.7, 2.0], dtype=torch.float64)

    def loss(scores: torch.Tensor, margin: torch.Tensor) -> torch.Tensor:
        return angular_margin_loss(scores, target, margin.expand(5), 16.0, above_pi)

    values = vmap(loss, in_dims=(None, 0))(scores, margins)
    gradients = vmap(grad(loss), in_dims=(None, 0))(scores, margins)
    for margin, value, gradient in zip(margins, values, gradients, strict=True):
        leaf = scores.clone().requires_grad_()
        expected = value_and_gradients(ArcFaceLoss(5, margin.item(), 16.0, above_pi)(leaf, target), leaf)
        assert_same([value, gradient], expected)


@pytest.mark.parametrize("name", [name for name in SETTINGS if dict(build(name).named_buffers())])
def test_vmap_over_the_buffers(name: str) -> None:
    """One module with a stack of its constants, as for an ensemble of settings."""
    loss = build(name)
    scores = torch.rand(30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    target = torch.arange(30) % 5
    factors = (0.25, 0.5, 1.0)
    stacks = {key: torch.stack([factor * value for factor in factors]) for key, value in loss.named_buffers()}
    values = vmap(lambda constants: torch.func.functional_call(loss, constants, (scores, target)))(stacks)
    for index, value in enumerate(values):
        alone = {key: stack[index] for key, stack in stacks.items()}
        torch.testing.assert_close(value, torch.func.functional_call(loss, alone, (scores, target)))
    torch.testing.assert_close(values[-1], loss(scores, target))
