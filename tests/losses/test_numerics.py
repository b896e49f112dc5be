"""Finite and accurate values in edge cases: extreme features, many classes, half precision."""

import math

import pytest
import torch
from torch import Tensor, nn

from camri_exp.losses import CAMRILoss, Loss
from camri_exp.losses.angular import margin_shift
from camri_exp.losses.crwwce import log_probabilities
from camri_exp.models.heads import CosineHead
from tests.helpers.loss_batches import SETTINGS, batch, build, head_for, value_and_gradients

HALVES = [torch.bfloat16, torch.float16]


def assert_finite(
    loss: Loss, head: nn.Module, features: Tensor, target: Tensor, autocast: torch.dtype | None = None
) -> Tensor:
    """The value; asserts that it and its gradients with respect to features and head parameters are finite."""
    with torch.autocast("cpu", autocast, enabled=autocast is not None):
        value = loss(head(features), target)
    for tensor in value_and_gradients(value, features, *head.parameters()):
        assert tensor.isfinite().all()
    assert value.shape == ()
    return value


@pytest.mark.parametrize("name", SETTINGS)
def test_gradcheck(name: str) -> None:
    loss = build(name)
    head = head_for(loss)
    features, target = batch(size=8)
    assert torch.autograd.gradcheck(lambda z: loss(head(z), target), features)
    assert torch.autograd.gradgradcheck(lambda z: loss(head(z), target), features)


@pytest.mark.parametrize("above_pi", ["hard", "easy", "reference"])
def test_gradcheck_of_the_margin(above_pi: str) -> None:
    theta = torch.tensor([0.05, 0.8, 1.5, 1.65, 2.4, 2.9, 3.1], dtype=torch.float64)
    margin = torch.tensor([0.0, 0.2, 0.5, 0.2, 1.0, 0.5, 3.0], dtype=torch.float64)
    cosine = theta.cos().requires_grad_()
    assert torch.autograd.gradcheck(lambda c: margin_shift(c, margin, above_pi), cosine)


@pytest.mark.parametrize("autocast", [None, *HALVES], ids=str)
@pytest.mark.parametrize("num_classes", [2, 10, 43, 10_000])
@pytest.mark.parametrize("name", SETTINGS)
def test_finite_for_any_features(name: str, num_classes: int, autocast: torch.dtype | None) -> None:
    """Features parallel or opposite to the weight of the target, nearly so, or zero; N = 1; no important sample."""
    loss = build(name, num_classes)
    head = head_for(loss, num_classes, dtype=torch.float32)
    target = torch.tensor([1, 1, 1, 1, 1, 0, num_classes - 1])
    factor = torch.tensor([1.0, -1.0, 1e-4, -1e4, 0.0, 1.0, -1.0])[:, None]
    features = (factor * head.weight.detach()[target]).requires_grad_()
    assert_finite(loss, head, features, target, autocast)
    assert_finite(loss, head, features, torch.zeros_like(target), autocast)  # no important sample
    for i in range(len(target)):
        assert_finite(loss, head, features[i : i + 1].detach().requires_grad_(), target[i : i + 1], autocast)


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("name", SETTINGS)
def test_autocast_leaves_head_and_loss_in_float32(name: str, half: torch.dtype) -> None:
    loss = build(name)
    head = head_for(loss, dtype=torch.float32)
    features, target = batch(dtype=torch.float32)
    expected = value_and_gradients(loss(head(features), target), features, head.weight)
    with torch.autocast("cpu", half):
        scores = head(features)
        value = loss(scores, target)
    assert scores.dtype == value.dtype == torch.float32
    for actual, right in zip(value_and_gradients(value, features, head.weight), expected, strict=True):
        assert torch.equal(actual, right)


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("name", SETTINGS)
def test_half_precision_features_and_scores_are_computed_in_float32(name: str, half: torch.dtype) -> None:
    """A backbone under autocast gives features in half precision; in a model that was cast, weights have it too."""
    loss = build(name)
    head = head_for(loss, dtype=torch.float32)
    features, target = batch(dtype=torch.float32)
    features = features.detach().to(half).requires_grad_()
    value = assert_finite(loss, head, features, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(head(features.float()), target))
    assert head.to(half)(features).dtype == torch.float32
    assert loss(head.float()(features).detach().to(half), target).dtype == torch.float32


@pytest.mark.parametrize("name", SETTINGS)
def test_finite_for_enormous_logits(name: str) -> None:
    loss = build(name)
    if loss.score_type == "cosine":
        return
    for size in (1e2, 1e4, 1e8):
        scores = (size * torch.eye(5)[[0, 1, 2, 3]]).requires_grad_()
        for target in ([0, 1, 2, 3], [1, 2, 3, 4]):  # all right, all wrong
            for tensor in value_and_gradients(loss(scores, torch.tensor(target)), scores):
                assert tensor.isfinite().all()


def test_a_feature_of_zero_has_no_direction_and_no_gradient() -> None:
    """``F.normalize`` would give it a gradient that is 1e12 times too large, which ends a training."""
    head = CosineHead(8, 5)
    features = torch.zeros(3, 8, requires_grad=True)
    scores = head(features)
    assert (scores == 0).all()
    (gradient,) = torch.autograd.grad(CAMRILoss(5, 1, 0.2, 16.0)(scores, torch.tensor([0, 1, 2])), features)
    assert (gradient == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_gradient_stays_bounded_towards_theta_0(dtype: torch.dtype) -> None:
    """|dL/dz| = s (1 - p) |sin(theta + m)| / |z|, for features arbitrarily close to the weight."""
    head = CosineHead(2, 2).to(dtype)
    with torch.no_grad():
        head.weight.copy_(torch.eye(2))
    for theta in (1e-1, 1e-2, 1e-3):
        z = torch.tensor([[math.cos(theta), math.sin(theta)]], dtype=dtype, requires_grad=True)
        cosine = head(z)[:, 0]
        score = cosine + margin_shift(cosine, torch.tensor([0.5], dtype=dtype))
        (gradient,) = torch.autograd.grad(score.sum(), z)
        # A cosine near 1 is known to eps, and so the angle to eps / theta.
        rounding = 10 * torch.finfo(dtype).eps / theta**2
        assert gradient.norm().item() == pytest.approx(math.sin(theta + 0.5), rel=rounding)


def test_the_margin_s_value_is_exact_in_float64_and_near_in_float32() -> None:
    theta = torch.linspace(0, math.pi, 1001, dtype=torch.float64)
    for margin in (0.0, 0.196, 1.0, 3.0):
        m = torch.full_like(theta, margin)
        for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-4)):
            shift = margin_shift(theta.cos().to(dtype), m.to(dtype), "reference").double()
            torch.testing.assert_close(shift, (theta + m).cos() - theta.cos(), rtol=0, atol=tolerance)


def test_log_of_one_minus_p_is_finite_and_accurate_where_the_naive_one_is_not() -> None:
    scores = torch.tensor([[0.0, 40.0, 1.0], [0.0, 1e4, -1e4], [3.0, 3.0, -200.0], [1.0, 1.0, 1.0]])
    log_p, log_not_p = log_probabilities(scores)
    exact = scores.double().softmax(1)
    assert log_not_p[0, 1].item() == pytest.approx(math.log(1 + math.e) - 40, rel=1e-6)
    assert log_not_p[1, 1].item() == pytest.approx(-1e4, rel=1e-6)
    torch.testing.assert_close(log_not_p[2:], (1 - exact[2:]).log().float())
    torch.testing.assert_close(log_p, scores.double().log_softmax(1).float())
    assert (1 - scores.softmax(1)).log().isinf().any()  # the naive one
