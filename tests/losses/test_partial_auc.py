"""The partial AUC term against its definition by pairs, and a search for the quantile."""

import pytest
import torch

from camri_exp.losses.partial_auc import PartialAUC
from tests.helpers.loss_batches import assert_same, value_and_gradients


def case(seed: int = 0, size: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(size, 5, dtype=torch.float64, generator=generator).requires_grad_()
    return scores, torch.arange(size) % 5


def by_pairs(scores: torch.Tensor, target: torch.Tensor, important: list[int], beta: float, margin: float):
    """The formula of docs/losses.md, with the s of each row that minimises it: one of its values."""
    inside = torch.zeros(5, dtype=torch.bool)
    inside[important] = True
    d = scores[:, inside].exp().sum(1).log() - scores[:, ~inside].exp().sum(1).log()
    total, positives = 0.0, inside[target].nonzero().flatten().tolist()
    for i in positives:
        losses = (margin - d[i] + d[~inside[target]]).clamp_min(0) ** 2
        bounds = [s + (losses - s).clamp_min(0).sum() / (beta * len(losses)) for s in losses]
        total = total + torch.stack(bounds).min()
    return total / len(positives)


@pytest.mark.parametrize("important", [[1], [0, 3]])
@pytest.mark.parametrize(("beta", "margin"), [(0.1, 1.0), (0.37, 0.5), (1.0, 2.0)])
def test_value_and_gradient(important: list[int], beta: float, margin: float) -> None:
    scores, target = case()
    ours = 3 * PartialAUC(5, important, 1 / 3, beta, margin)(scores, target)
    expected = by_pairs(scores, target, important, beta, margin)
    assert_same(value_and_gradients(ours, scores), value_and_gradients(expected, scores))


def test_at_beta_1_it_is_the_mean_over_all_pairs() -> None:
    scores, target = case()
    d = scores[:, 1] - scores[:, [0, 2, 3, 4]].logsumexp(1)
    pairs = (1 - d[target == 1][:, None] + d[target != 1][None, :]).clamp_min(0) ** 2
    torch.testing.assert_close(PartialAUC(5, [1], 1.0, beta=1.0)(scores, target), pairs.mean())


def test_batches_without_pairs_are_0_and_cosines_are_scaled() -> None:
    scores, target = case()
    term = PartialAUC(5, [1], 1.0)
    for rows in (target != 1, target == 1):
        value, gradient = value_and_gradients(term(scores[rows], target[rows]), scores)
        assert value == 0
        assert (gradient == 0).all()
    scaled = PartialAUC(5, [1], 1.0, scale=8.0)(scores / 8, target)
    torch.testing.assert_close(scaled, term(scores, target))
    assert term(scores.half(), target).dtype == torch.float32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": 0.0}, "weight=0.0; expected a number above 0"),
        ({"weight": 1.0, "beta": 0.0}, "beta=0.0; expected a number above 0"),
        ({"weight": 1.0, "important_class": [0, 1, 2, 3, 4]}, "needs a class that is not important"),
    ],
)
def test_wrong_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PartialAUC(**{"num_classes": 5, "important_class": [1]} | settings)
