"""``probabilities`` recovers a known P(k | x) from the scores that minimise the expected loss."""

from typing import Any

import pytest
import torch
from torch import Tensor

from camri_exp.losses import Loss
from tests.helpers.loss_batches import SETTINGS, build

K = 5
CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in SETTINGS),
    ("CrossEntropyLoss", {"label_smoothing": 0.0}),
    ("WeightedCrossEntropyLoss", {"weight": 4.0}),
    ("WeightedCrossEntropyLoss", {"weight": "balanced"}),
    ("LogitAdjustedLoss", {"tau": 2.0}),
    ("FocalLoss", {"gamma": 2.0, "alpha": [1.0, 2.0, 0.5, 1.0, 3.0]}),
    ("FocalLoss", {"gamma": 0.0}),
    ("RealWorldWeightedCrossEntropyLoss", {"false_negative": 6.0, "false_positive": 0.0}),
    ("RealWorldWeightedCrossEntropyLoss", {"false_positive": (torch.arange(25.0).reshape(5, 5) / 20).tolist()}),
    ("CosFaceLoss", {"margin": [0.1, 0.2, 0.0, 0.3, 0.05], "scale": 8.0}),
    ("CAMRILoss", {"margin": 0.2, "scale": 16.0}),
    ("VectorScalingLoss", {"multiplier": "counts", "offset": "counts"}),
    ("LDAMLoss", {"scale": 8.0, "max_margin": 0.2, "beta": 0.99}),
]


def minimizer(loss: Loss, share: Tensor) -> Tensor:
    """Scores (1, K) at which the gradient of ``sum_t share_t loss(scores, t)`` is 0, by damped Newton steps."""
    target = torch.arange(K)

    def expected(scores: Tensor) -> Tensor:
        return torch.stack([share[t] * loss(scores[None], target[t : t + 1]) for t in range(K)]).sum()

    gradient_of = torch.func.grad(expected)
    scores = 0.05 * share.log()
    for _ in range(100):
        gradient = gradient_of(scores)
        if gradient.norm() < 1e-13:
            break
        step = torch.linalg.pinv(torch.func.jacrev(gradient_of)(scores), hermitian=True, rtol=1e-9) @ gradient
        size = 1.0
        while size > 1e-6 and not gradient_of(scores - size * step).norm() < gradient.norm():
            size /= 2
        scores = scores - size * step
    return scores[None]


@pytest.mark.parametrize(("name", "changed"), CASES, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_known_probabilities_are_recovered_from_the_minimizer(name: str, changed: dict[str, Any], seed: int) -> None:
    share = torch.rand(K, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.1
    share /= share.sum()
    loss = build(name, K, **changed)
    torch.testing.assert_close(loss.probabilities(minimizer(loss, share))[0], share, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("name", "changed"), CASES, ids=str)
def test_probabilities_are_finite_and_sum_to_one_for_any_scores(name: str, changed: dict[str, Any]) -> None:
    loss = build(name, K, **changed)
    largest = 1.0 if loss.score_type == "cosine" else 300.0
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.float64):
        scores = largest * (2 * torch.rand(50, K, generator=generator, dtype=dtype) - 1)
        scores[:10] = largest * torch.eye(K, dtype=dtype).repeat(2, 1)
        probabilities = loss.probabilities(scores)
        assert probabilities.dtype == dtype
        assert (probabilities >= 0).all()
        torch.testing.assert_close(probabilities.sum(1), torch.ones(50, dtype=dtype))


def test_a_class_of_weight_zero_has_probability_zero() -> None:
    loss = build("WeightedCrossEntropyLoss", K, weight=[1.0, 0.0, 1.0, 1.0, 1.0])
    assert loss.probabilities(torch.zeros(1, K)).tolist() == [[0.25, 0.0, 0.25, 0.25, 0.25]]
