"""Values and gradients against other implementations: pytorch-metric-learning, torch, kornia, torchvision."""

import math
from fractions import Fraction

import kornia
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import losses as pml
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from camri_exp.losses import (
    ArcFaceLoss,
    CAMRILoss,
    ClassBalancedLoss,
    CosFaceLoss,
    CrossEntropyLoss,
    FocalLoss,
    L2SoftmaxLoss,
    LDAMLoss,
    Loss,
    WeightedCrossEntropyLoss,
)
from tests.helpers.loss_batches import assert_same, batch, head_for, value_and_gradients

DTYPES = [torch.float64, torch.float32]
K, D, SCALE = 5, 8, 16.0


def ours(loss: Loss, features: Tensor, target: Tensor) -> list[Tensor]:
    """Value, and gradients with respect to features and weight."""
    head = head_for(loss, K, D, features.dtype)
    return value_and_gradients(loss(head(features), target), features, head.weight)


def reference(loss: torch.nn.Module, weight: Tensor) -> torch.nn.Module:
    """A loss of pytorch-metric-learning with our weight (K, D), which it stores as (D, K)."""
    loss.W = torch.nn.Parameter(weight.T.clone())
    return loss


def theirs(loss: torch.nn.Module, features: Tensor, target: Tensor) -> list[Tensor]:
    """The same as ``ours``, of a loss of pytorch-metric-learning."""
    loss = reference(loss, head_weight(features.dtype))
    value, by_features, by_weight = value_and_gradients(loss(features, target), features, loss.W)
    return [value, by_features, by_weight.T]


def head_weight(dtype: torch.dtype) -> Tensor:
    """The weight (K, D) of ``head_for``'s cosine head."""
    return head_for(L2SoftmaxLoss(K, SCALE), K, D, dtype).weight.detach()


def spread(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A batch: a third of the samples is close to the weight of its target, a third to the opposite of it."""
    features, target = batch(K, 60, D, dtype)
    towards = torch.tensor([0.0, 5.0, -5.0], dtype=dtype).repeat(20)[:, None]
    return (features.detach() + towards * head_weight(dtype)[target]).requires_grad_(), target


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("margin", [0.0, 4 * math.pi / 64, 0.5, 1.2, 2.5])
def test_arcface(margin: float, dtype: torch.dtype) -> None:
    features, target = spread(dtype)
    loss = ArcFaceLoss(K, margin, SCALE, above_pi="hard")
    cosine = head_for(loss, K, D, dtype)(features).gather(1, target[:, None])
    assert (cosine.acos() + margin > math.pi).any() == (margin > 0)  # samples on both sides of pi
    assert_same(ours(loss, features, target), theirs(in_degrees(margin), features, target), dtype)


def in_degrees(margin: float) -> torch.nn.Module:
    """Their ArcFace with our margin."""
    return pml.ArcFaceLoss(K, D, margin=math.degrees(margin), scale=SCALE)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cosface(dtype: torch.dtype) -> None:
    features, target = spread(dtype)
    expected = theirs(pml.CosFaceLoss(K, D, margin=0.35, scale=SCALE), features, target)
    assert_same(ours(CosFaceLoss(K, 0.35, SCALE), features, target), expected, dtype)
    assert_same(ours(LDAMLoss([30] * K, 0.35, SCALE), features, target), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_l2_softmax(dtype: torch.dtype) -> None:
    features, target = spread(dtype)
    loss = reference(pml.NormalizedSoftmaxLoss(K, D, temperature=1 / SCALE), head_weight(dtype))
    value = loss(F.normalize(features), target)  # it normalises the weights only
    expected = value_and_gradients(value, features, loss.W)
    assert_same(ours(L2SoftmaxLoss(K, SCALE), features, target), [*expected[:2], expected[2].T], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("important", [[3], [1, 4]])
def test_camri_is_arcface_where_the_target_is_important_and_l2_softmax_elsewhere(
    important: list[int], dtype: torch.dtype
) -> None:
    features, target = spread(dtype)
    margins = [0.3, 0.7][: len(important)]
    by_class = dict(zip(important, margins, strict=True))
    weight = head_weight(dtype).requires_grad_()
    total = torch.zeros((), dtype=dtype)
    for k in target.unique().tolist():
        rows = target == k
        loss = in_degrees(by_class.get(k, 0.0))
        del loss.W
        loss.W = weight.T
        total = total + loss(features[rows], target[rows]) * rows.sum() / len(target)
    expected = value_and_gradients(total, features, weight)
    assert_same(ours(CAMRILoss(K, important, margins, SCALE), features, target), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.5])
def test_focal(gamma: float, dtype: torch.dtype) -> None:
    features, target = batch(K, 40, D, dtype)
    head = head_for(FocalLoss(gamma), K, D, dtype)
    value = kornia.losses.focal_loss(head(features), target, alpha=None, gamma=gamma).sum(1).mean()
    assert_same(ours(FocalLoss(gamma), features, target), value_and_gradients(value, features, head.weight), dtype)

    alpha = [0.5, 1.0, 2.0, 0.0, 3.0]
    weight = torch.tensor(alpha, dtype=dtype)
    value = kornia.losses.focal_loss(head(features), target, alpha=None, gamma=gamma, weight=weight).sum(1).mean()
    expected = value_and_gradients(value, features, head.weight)
    assert_same(ours(FocalLoss(gamma, alpha), features, target), expected, dtype)


def test_focal_loss_of_two_classes_is_that_of_torchvision() -> None:
    scores = torch.randn(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.arange(30) % 2
    # The difference of two logits is the logit of the sigmoid; its alpha is for class 1, and 1 - alpha for class 0.
    expected = sigmoid_focal_loss(scores[:, 1] - scores[:, 0], target.double(), alpha=0.25, gamma=2, reduction="mean")
    loss = FocalLoss(2.0, [0.75, 0.25])
    assert_same(value_and_gradients(loss(scores, target), scores), value_and_gradients(expected, scores))


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropies_are_those_of_torch(dtype: torch.dtype) -> None:
    features, target = batch(K, 40, D, dtype)
    head = head_for(CrossEntropyLoss(), K, D, dtype)
    weight = torch.tensor([1.0, 4.0, 1.0, 0.5, 1.0], dtype=dtype)

    def expect(loss: Loss, **arguments: float | Tensor) -> None:
        value = F.cross_entropy(head(features), target, **arguments)
        assert_same(ours(loss, features, target), value_and_gradients(value, features, head.weight), dtype)

    expect(CrossEntropyLoss())
    expect(CrossEntropyLoss(label_smoothing=0.2), label_smoothing=0.2)
    expect(WeightedCrossEntropyLoss(K, weight.tolist(), normalize="weights"), weight=weight)

    # Divided by N, not by the sum of the weights: the same value times that sum over N.
    value = F.cross_entropy(head(features), target, weight=weight) * weight[target].sum() / len(target)
    expected = value_and_gradients(value, features, head.weight)
    assert_same(ours(WeightedCrossEntropyLoss(K, weight.tolist()), features, target), expected, dtype)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    counts = [3, 50, 7, 1, 200]
    labels = [k for k, count in enumerate(counts) for _ in range(count)]
    expected = compute_class_weight("balanced", classes=np.arange(K), y=labels)
    loss = WeightedCrossEntropyLoss(K, "balanced", class_counts=counts)
    torch.testing.assert_close(loss.weight, torch.as_tensor(expected))


def test_ldam_with_weights_is_the_loss_of_its_authors() -> None:
    """Their code divides by the sum of the weights in the batch; here by N."""
    counts = [100, 50, 3, 20, 7]
    features, target = spread(torch.float64)
    cosine = head_for(LDAMLoss(counts), K, D)(features)
    margins = 0.5 * (1 / np.sqrt(np.sqrt(counts))) / max(1 / np.sqrt(np.sqrt(counts)))
    effective = 1 - np.power(0.99, counts)
    weights = torch.tensor((1 - 0.99) / effective / sum((1 - 0.99) / effective) * K)
    logits = 30 * (cosine - F.one_hot(target, K) * torch.tensor(margins))
    value = F.cross_entropy(logits, target, weight=weights) * weights[target].sum() / len(target)
    expected = value_and_gradients(value, features)
    assert_same(ours(LDAMLoss(counts, beta=0.99), features, target)[:2], expected)


def test_class_balanced_weights_are_those_of_exact_arithmetic() -> None:
    counts, beta = [1, 10, 500, 5000], Fraction(9999, 10000)
    raw = [(1 - beta) / (1 - beta**count) for count in counts]
    expected = torch.tensor([float(w * len(counts) / sum(raw)) for w in raw], dtype=torch.float64)
    torch.testing.assert_close(ClassBalancedLoss(counts, beta=float(beta)).weight, expected, rtol=1e-11, atol=0)
