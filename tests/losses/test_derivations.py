"""Losses without a public implementation against the formulas of their papers in NumPy, and special cases.

The expected gradients are computed from the NumPy value by complex steps, which are exact up to rounding.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from camri_exp.losses import (
    ArcFaceLoss,
    CAMRILoss,
    ClassBalancedLoss,
    CosFaceLoss,
    CostSensitiveCosineLoss,
    CostSensitiveLoss,
    CrossEntropyLoss,
    FocalLoss,
    L2SoftmaxLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    Loss,
    OutlyingLabelMSELoss,
    RealWorldWeightedCrossEntropyLoss,
    VectorScalingLoss,
    WeightedCrossEntropyLoss,
)
from camri_exp.losses.angular import angular_margin_loss
from tests.helpers.loss_batches import assert_same, batch, head_for, value_and_gradients

Formula = Callable[[np.ndarray, np.ndarray], complex]  # of features (N, D) and weight (K, D)
K, D = 5, 6


def target_of(size: int = 15) -> np.ndarray:
    return np.arange(size) % K


def derivative(formula: Formula, features: np.ndarray, weight: np.ndarray, step: float = 1e-30) -> np.ndarray:
    """The gradient with respect to the features: Im f(z + ih) / h, without the cancellation of a difference."""
    gradient = np.empty_like(features)
    for index in np.ndindex(features.shape):
        shifted = features.astype(complex)
        shifted[index] += 1j * step
        gradient[index] = formula(shifted, weight).imag / step
    return gradient


def check(loss: Loss, formula: Formula) -> None:
    """Assert that the loss through its head (a linear one with zero bias) equals ``formula``, and its gradient too."""
    random = np.random.default_rng(0)
    features, weight = random.normal(size=(15, D)), random.normal(size=(K, D))
    head = head_for(loss, K, D)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        if loss.score_type == "logits":
            head.bias.zero_()
    z = torch.from_numpy(features).requires_grad_()
    value, gradient = value_and_gradients(loss(head(z), torch.from_numpy(target_of())), z)
    assert value.item() == pytest.approx(formula(features, weight), rel=1e-12)
    np.testing.assert_allclose(gradient.numpy(), derivative(formula, features, weight), rtol=1e-10, atol=1e-10)


def angles(features: np.ndarray, weight: np.ndarray) -> np.ndarray:
    lengths = np.sqrt((features**2).sum(1))[:, None] * np.linalg.norm(weight, axis=1)
    return np.arccos(features @ weight.T / lengths)


@pytest.mark.parametrize("above_pi", ["hard", "easy", "reference"])
@pytest.mark.parametrize(
    ("important", "margin", "other_margin"),
    [([3], 0.196, 0.0), ([3], [2.0], 0.0), ([4, 1], [0.3, 1.1], 0.2), ([0, 2], 0.5, 0.8)],
)
def test_camri(important: list[int], margin: float | list[float], other_margin: float, above_pi: str) -> None:
    m = np.full(K, other_margin)
    m[important] = margin

    def formula(features: np.ndarray, weight: np.ndarray) -> complex:
        total = 0j
        for theta, t in zip(angles(features, weight), target_of(), strict=True):
            score = np.cos(theta[t] + m[t])
            if above_pi == "hard" and theta[t].real + m[t] > math.pi:
                score = np.cos(theta[t]) - m[t] * np.sin(m[t])
            if above_pi == "easy" and theta[t].real > math.pi / 2:
                score = np.cos(theta[t])
            others = sum(np.exp(16 * np.cos(theta[k])) for k in range(K) if k != t)
            total -= np.log(np.exp(16 * score) / (np.exp(16 * score) + others))
        return total / len(features)

    check(CAMRILoss(K, important, margin, scale=16.0, above_pi=above_pi, other_margin=other_margin), formula)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores)
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("cosine", [False, True])
def test_cost_sensitive(cosine: bool) -> None:
    price = np.array([1.0, 3.0, 1.0, 0.5, 1.0])
    loss = CostSensitiveCosineLoss(K, [1, 3], [3.0, 0.5]) if cosine else CostSensitiveLoss(K, [1, 3], [3.0, 0.5])

    def formula(features: np.ndarray, weight: np.ndarray) -> complex:
        scores = 16 * np.cos(angles(features, weight)) if cosine else features @ weight.T
        weighted = np.exp(scores) / price
        own = weighted[np.arange(len(features)), target_of()]
        return -np.log(own / weighted.sum(1)).mean()

    check(loss, formula)


@pytest.mark.parametrize("settings", [(0.8, -0.7, 2.0), ([0.5, 1, 2, 0.8, 1], [0, 1, -2, 0, 0.3], 1.0), "counts"])
def test_vector_scaling(settings: tuple | str) -> None:
    n = np.array([100, 50, 3, 20, 7])
    if settings == "counts":
        loss = VectorScalingLoss(K, "counts", "counts", gamma=0.2, tau=1.2, class_counts=n.tolist())
        d, i, w = 1 / ((1 / n) ** 0.2 / min((1 / n) ** 0.2)), 1.2 * np.log(n / n.sum()), np.ones(K)  # the authors' code
    else:
        loss = VectorScalingLoss(K, *settings, important_class=[1, 3])
        rest = [np.array(rest, dtype=float) for rest in ([1.0] * K, [0.0] * K, [1.0] * K)]
        for values, setting in zip(rest, settings, strict=True):
            values[:] = setting if np.ndim(setting) else np.where(np.isin(np.arange(K), [1, 3]), setting, values)
        d, i, w = rest

    def formula(features: np.ndarray, weight: np.ndarray) -> complex:
        p = softmax(d * (features @ weight.T) + i)
        return -(w[target_of()] * np.log(p[np.arange(len(p)), target_of()])).mean()

    check(loss, formula)


@pytest.mark.parametrize("as_matrix", [False, True])
def test_crwwce(as_matrix: bool) -> None:
    random = np.random.default_rng(1)
    if as_matrix:
        fn, fp = random.uniform(0, 3, size=K), random.uniform(0, 3, size=(K, K))
        loss = RealWorldWeightedCrossEntropyLoss(K, fn.tolist(), fp.tolist())
    else:
        fn, fp = np.array([1.0, 7.0, 1.0, 7.0, 1.0]), np.tile([0.0, 0.4, 0.0, 0.4, 0.0], (K, 1))
        loss = RealWorldWeightedCrossEntropyLoss(K, 7.0, 0.4, important_class=[3, 1])

    def formula(features: np.ndarray, weight: np.ndarray) -> complex:
        total = 0j
        for p, t in zip(softmax(features @ weight.T), target_of(), strict=True):
            total -= fn[t] * np.log(p[t])
            total -= sum(fp[t, j] * np.log(1 - p[j]) for j in range(K) if j != t)
        return total / len(features)

    check(loss, formula)


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        (3.0, [1, 1, 3, 1, 1]),  # on the important class
        ([5, 1, 2, 1, 0.5], [5, 1, 2, 1, 0.5]),
        ("counts", [1, 2, 3, 2, 4]),  # counts 900, 40, 30, 40, 2
    ],
)
def test_mse_with_outlying_labels(ranks: float | list[float] | str, expected: list[float]) -> None:
    loss = OutlyingLabelMSELoss(K, ranks, alpha=5.0, important_class=2, class_counts=[900, 40, 30, 40, 2])

    def formula(features: np.ndarray, weight: np.ndarray) -> complex:
        label = np.zeros((len(features), K))
        for row, t in enumerate(target_of()):
            label[row, t] = 5.0 * expected[t]
        return ((features @ weight.T - label) ** 2).mean()

    check(loss, formula)


def test_the_optimal_outputs_are_decoded_as_derived() -> None:
    """With z_k = alpha r(k) p(k | x), argmax weights p with r, debiased returns p, nearest requires half a label."""
    p = torch.tensor([[0.5, 0.3, 0.2], [0.7, 0.2, 0.1], [0.55, 0.4, 0.05]], dtype=torch.float64)
    argmax, debiased, nearest = (
        OutlyingLabelMSELoss(3, [1.0, 2.0, 4.0], alpha=5.0, decoder=decoder)
        for decoder in ("argmax", "debiased", "nearest")
    )
    best = p * argmax.label
    assert argmax.decoded(best).argmax(1).tolist() == [2, 0, 1]
    assert debiased.decoded(best).argmax(1).tolist() == p.argmax(1).tolist() == [0, 0, 0]
    labels = torch.diag(argmax.label)
    assert torch.equal(nearest.decoded(best).argmax(1), torch.cdist(best, labels).argmin(1))
    for loss in (argmax, debiased, nearest):
        torch.testing.assert_close(loss.probabilities(loss.decoded(best)), p)
    # Without a positive output the estimate is uniform.
    torch.testing.assert_close(argmax.probabilities(-best), torch.full_like(p, 1 / 3))


def same_on_a_batch(first: Loss, second: Loss) -> None:
    features, target = batch(K, 40, D)
    head = head_for(first, K, D)
    assert_same(*(value_and_gradients(loss(head(features), target), features, head.weight) for loss in (first, second)))


EQUAL = [20] * K
SKEWED = [100, 50, 3, 20, 7]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(CAMRILoss(K, 1, 0.0, 16.0), L2SoftmaxLoss(K, 16.0), id="camri, m = 0"),
        pytest.param(ArcFaceLoss(K, 0.0, 16.0), L2SoftmaxLoss(K, 16.0), id="arcface, m = 0"),
        pytest.param(CosFaceLoss(K, 0.0, 16.0), L2SoftmaxLoss(K, 16.0), id="cosface, m = 0"),
        pytest.param(CAMRILoss(K, range(K), 0.3, 16.0), ArcFaceLoss(K, 0.3, 16.0), id="camri, all important"),
        pytest.param(CAMRILoss(K, 1, 0.3, 16.0, other_margin=0.3), ArcFaceLoss(K, 0.3, 16.0), id="camri, m = m_0"),
        pytest.param(CostSensitiveLoss(K, 1, 1.0), CrossEntropyLoss(), id="cost-sensitive, w = 1"),
        pytest.param(
            CostSensitiveLoss(K, [1, 2], [4.0, 2.0]),
            LogitAdjustedLoss([400, 100, 200, 400, 400]),
            id="cost-sensitive, prior 1 / w",
        ),
        pytest.param(CostSensitiveCosineLoss(K, 1, 1.0, 16.0), L2SoftmaxLoss(K, 16.0), id="cost-sensitive cosine"),
        pytest.param(VectorScalingLoss(K, [1.0] * K, [0.0] * K), CrossEntropyLoss(), id="vector scaling, 1 and 0"),
        pytest.param(
            VectorScalingLoss(K, 1.0, 0.0, 4.0, important_class=1),
            WeightedCrossEntropyLoss(K, 4.0, important_class=1),
            id="vector scaling, w alone",
        ),
        pytest.param(
            VectorScalingLoss(K, [1.0] * K, "counts", tau=1.1, class_counts=SKEWED),
            LogitAdjustedLoss(SKEWED, tau=1.1),
            id="vector scaling, i = tau log pi",
        ),
        pytest.param(
            LDAMLoss(EQUAL, 0.35, 16.0, beta=0.999), CosFaceLoss(K, 0.35, 16.0), id="ldam, equal counts, beta"
        ),
        pytest.param(LDAMLoss(EQUAL, 0.35, 16.0), CosFaceLoss(K, 0.35, 16.0), id="ldam, equal counts"),
        pytest.param(FocalLoss(0.0), CrossEntropyLoss(), id="focal, gamma = 0"),
        pytest.param(FocalLoss(2.0, [1.0] * K), FocalLoss(2.0), id="focal, alpha = 1"),
        pytest.param(RealWorldWeightedCrossEntropyLoss(K, 1.0, 0.0), CrossEntropyLoss(), id="crwwce, w_fp = 0"),
        pytest.param(
            RealWorldWeightedCrossEntropyLoss(K, 4.0, 0.0, important_class=2),
            WeightedCrossEntropyLoss(K, 4.0, important_class=2),
            id="crwwce, w_fp = 0, w_fn = w",
        ),
        pytest.param(WeightedCrossEntropyLoss(K, 1.0, 0), CrossEntropyLoss(), id="wce, w = 1"),
        pytest.param(WeightedCrossEntropyLoss(K, [3.0] * K, normalize="weights"), CrossEntropyLoss(), id="wce, equal"),
        pytest.param(WeightedCrossEntropyLoss(K, "balanced", None, EQUAL), CrossEntropyLoss(), id="balanced, equal"),
        pytest.param(ClassBalancedLoss(EQUAL), CrossEntropyLoss(), id="class-balanced, equal counts"),
        pytest.param(ClassBalancedLoss(SKEWED, beta=0.0), CrossEntropyLoss(), id="class-balanced, beta = 0"),
        pytest.param(LogitAdjustedLoss(EQUAL), CrossEntropyLoss(), id="logit adjustment, equal counts"),
        pytest.param(LogitAdjustedLoss(SKEWED, tau=0.0), CrossEntropyLoss(), id="logit adjustment, tau = 0"),
    ],
)
def test_special_cases(first: Loss, second: Loss) -> None:
    same_on_a_batch(first, second)


def test_logit_adjustment_at_tau_1_is_balanced_softmax() -> None:
    features, target = batch(K, 40, D)
    loss = LogitAdjustedLoss(SKEWED)
    head = head_for(loss, K, D)
    weighted = torch.tensor(SKEWED).double() * head(features).exp()  # n_k e^{z_k}, as in Ren et al.
    expected = -(weighted / weighted.sum(1, keepdim=True)).gather(1, target[:, None]).log().mean()
    assert_same(value_and_gradients(loss(head(features), target), features), value_and_gradients(expected, features))


def test_labels_of_rank_and_alpha_1_are_one_hot() -> None:
    features, target = batch(K, 40, D)
    loss = OutlyingLabelMSELoss(K, [1.0] * K, alpha=1.0)
    head = head_for(loss, K, D)
    expected = F.mse_loss(head(features), F.one_hot(target, K).double())
    assert_same(value_and_gradients(loss(head(features), target), features), value_and_gradients(expected, features))


def test_a_scale_too_small_cannot_fit_many_classes() -> None:
    """The minimum in the docstring, log(1 + (K-1) exp(-sK/(K-1))), is reached where the weights form a simplex."""
    k, scale = 43, 4.0
    simplex = F.normalize(torch.eye(k, dtype=torch.float64) - 1 / k)
    least = math.log(1 + (k - 1) * math.exp(-scale * k / (k - 1)))
    assert L2SoftmaxLoss(k, scale)(simplex @ simplex.T, torch.arange(k)).item() == pytest.approx(least, rel=1e-12)
    assert least == pytest.approx(0.530, abs=5e-4)


@pytest.mark.parametrize(("k", "scale"), [(2, 3.5), (10, 8.2), (43, 10.4), (50, 10.6), (1000, 13.8)])
def test_the_automatic_scale_lets_a_perfect_head_reach_probability_999(k: int, scale: float) -> None:
    simplex = F.normalize(torch.eye(k, dtype=torch.float64) - 1 / k)
    loss = L2SoftmaxLoss(k, "auto")
    assert loss.scale == pytest.approx(scale, abs=0.05)
    assert loss.probabilities(simplex @ simplex.T).diagonal().min().item() == pytest.approx(0.999, rel=1e-12)
    for other in (
        CosFaceLoss(k, 0.3, "auto"),
        CAMRILoss(k, 1, 0.3, "auto"),
        CostSensitiveCosineLoss(k, 1, 2.0, "auto"),
    ):
        assert other.scale == loss.scale


def test_without_another_margin_camri_is_the_loss_of_the_paper_bit_for_bit() -> None:
    features, target = batch(K, 40, D)
    scores = head_for(L2SoftmaxLoss(K, 16.0), K, D)(features)
    margins = torch.tensor([0.0, 0.4, 0.0, 0.0, 0.0], dtype=torch.float64)
    expected = value_and_gradients(angular_margin_loss(scores, target, margins, 16.0), scores)
    ours = value_and_gradients(CAMRILoss(K, 1, 0.4, 16.0)(scores, target), scores)
    assert all(map(torch.equal, ours, expected))
