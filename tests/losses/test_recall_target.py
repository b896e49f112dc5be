"""``recall_target``: the price converges to that of the Neyman-Pearson threshold; with rate 0 it is cost_sensitive."""

import math

import pytest
import torch
from torch import Tensor

from camri_exp.losses import CostSensitiveLoss, RecallTargetLoss
from tests.helpers.loss_batches import assert_same, batch, head_for, value_and_gradients

NORMAL = torch.distributions.Normal(0.0, 1.0)
DISTANCE = 1.5


def two_gaussians(size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Features (2 size, 1) of N(0, 1), class 0, and N(1.5, 1), class 1, without noise in the quantiles; targets."""
    share = (torch.arange(size, dtype=torch.float64) + (seed + 1) / 3) / size
    quantiles = NORMAL.icdf(share).double()
    x = torch.cat([quantiles, quantiles + DISTANCE])
    return x[:, None], torch.arange(2).repeat_interleave(size)


@pytest.mark.parametrize("recall", [0.8, 0.95])
def test_it_converges_to_the_neyman_pearson_threshold(recall: float) -> None:
    """The most powerful test of class 0 against 1 with this recall is x > t, with t = 1.5 + Phi^-1(1 - recall)."""
    loss = RecallTargetLoss(2, 1, recall, rate=1.0)
    features, target = two_gaussians(400, seed=0)
    held_out, held_out_target = two_gaussians(2000, seed=1)
    head = head_for(loss, 2, 1)
    for _ in range(60):  # epochs, each trained to the end
        optimizer = torch.optim.LBFGS(head.parameters(), max_iter=20, line_search_fn="strong_wolfe")

        def closure(optimizer: torch.optim.Optimizer = optimizer) -> Tensor:
            optimizer.zero_grad()
            value = loss(head(features), target)
            value.backward()
            return value

        optimizer.step(closure)
        logged = loss.adapt(head(held_out), held_out_target)
    weight, bias = (head.weight[1] - head.weight[0]).item(), (head.bias[1] - head.bias[0]).item()
    threshold = DISTANCE + NORMAL.icdf(torch.tensor(1 - recall)).item()
    assert -bias / weight == pytest.approx(threshold, abs=0.01)
    assert logged["held_out_recall"] == pytest.approx(recall, abs=0.002)
    # At that threshold the likelihood ratio is 1 / w.
    assert logged["price"] == pytest.approx(math.exp(DISTANCE**2 / 2 - DISTANCE * threshold), rel=0.03)


def test_with_rate_0_it_is_cost_sensitive() -> None:
    loss = RecallTargetLoss(5, [1, 2], 0.9, rate=0.0, price=[4.0, 2.0])
    features, target = batch()
    scores = head_for(loss)(features)
    loss.adapt(scores, target)
    expected = value_and_gradients(CostSensitiveLoss(5, [1, 2], [4.0, 2.0])(scores, target), scores)
    assert_same(value_and_gradients(loss(scores, target), scores), expected)


def test_the_price_moves_by_the_missing_recall_within_its_bounds() -> None:
    loss = RecallTargetLoss(3, [0, 2], [0.5, 0.9], rate=0.5, max_price=2.0)
    scores = torch.eye(3, dtype=torch.float64)[[0, 0, 0, 1, 1, 2, 0]]
    target = torch.tensor([0, 0, 0, 0, 1, 2, 2])  # recall 3/4 of class 0, 1/2 of class 2
    first = loss.adapt(scores, target)
    assert loss.log_price.tolist() == pytest.approx([0, 0, 0.5 * 0.4])  # not below 0
    assert first == pytest.approx({"price": (1 + math.exp(0.2)) / 2, "held_out_recall": 0.625})
    loss.adapt(scores[:5], target[:5])  # no image of class 2: its price stays
    assert loss.log_price[2].item() == pytest.approx(0.2)
    for _ in range(10):
        loss.adapt(scores, target)
    assert loss.log_price[2].item() == pytest.approx(math.log(2))
