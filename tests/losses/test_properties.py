"""Properties that hold for any batch (hypothesis)."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from camri_exp.losses import ArcFaceLoss, CAMRILoss, L2SoftmaxLoss
from camri_exp.losses.angular import ABOVE_PI, margin_shift
from camri_exp.models.heads import CosineHead
from tests.helpers.loss_batches import SETTINGS, assert_same, batch, build, head_for, value_and_gradients

seeds = st.integers(0, 2**32 - 1)
margins = st.floats(0, 3.1)
quick = settings(max_examples=40, deadline=None)


def cosines(num_classes: int, seed: int, size: int = 20) -> tuple[Tensor, Tensor]:
    """Uniformly random cosines (N, K) in [-1, 1], and targets."""
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.rand(size, num_classes, dtype=torch.float64, generator=generator) - 1
    return scores.requires_grad_(), torch.randint(num_classes, (size,), generator=generator)


@quick
@given(seeds, margins, st.integers(2, 12), st.sampled_from(ABOVE_PI))
def test_a_sample_of_an_unimportant_class_has_the_l2_softmax_loss(
    seed: int, margin: float, num_classes: int, above_pi: str
) -> None:
    scores, target = cosines(num_classes, seed)
    rest = target != 0
    if not rest.any():
        return
    scores, target = scores[rest].detach().requires_grad_(), target[rest]
    camri = CAMRILoss(num_classes, 0, margin, 16.0, above_pi)(scores, target)
    l2_softmax = L2SoftmaxLoss(num_classes, 16.0)(scores, target)
    plain = F.cross_entropy(16.0 * scores, target)  # without the code of the margin, which both use
    expected = value_and_gradients(plain, scores)
    # Bit for bit: a margin of zero does not change the cosine.
    for value in (camri, l2_softmax):
        assert all(map(torch.equal, value_and_gradients(value, scores), expected))


@quick
@given(seeds, st.lists(margins, min_size=2, max_size=2, unique=True))
def test_the_loss_increases_with_the_margin_up_to_pi(seed: int, pair: list[float]) -> None:
    low, high = sorted(pair)
    scores, target = cosines(6, seed)
    below = scores.gather(1, target[:, None]).squeeze(1).acos() + high <= math.pi
    if not below.any():
        return
    scores, target = scores[below], target[below]
    for above_pi in ("hard", "reference"):
        small, large = (ArcFaceLoss(6, m, 16.0, above_pi)(scores, target) for m in (low, high))
        assert small <= large + 1e-12


@quick
@given(st.floats(0, 2.33))
def test_hard_decreases_with_the_angle_up_to_pi(margin: float) -> None:
    theta = torch.linspace(0, math.pi, 2000, dtype=torch.float64)
    score = theta.cos() + margin_shift(theta.cos(), torch.full_like(theta, margin), "hard")
    assert (score.diff() <= 1e-9).all()


def test_reference_rewards_the_worst_samples_where_hard_does_not() -> None:
    """The reason for ``above_pi``: with a margin of 11.25 degrees the cosine increases again beyond 168.75 degrees."""
    theta = torch.tensor([168.75, 180.0], dtype=torch.float64).deg2rad()
    margin = torch.full_like(theta, math.radians(11.25))
    scores = {above_pi: theta.cos() + margin_shift(theta.cos(), margin, above_pi) for above_pi in ABOVE_PI}
    assert scores["reference"].diff() > 0.01
    assert scores["hard"].diff() < 0
    assert torch.equal(scores["easy"], theta.cos())


@quick
@given(seeds)
def test_the_prediction_does_not_depend_on_labels(seed: int) -> None:
    """Scores and probabilities depend on the features only."""
    for name in SETTINGS:
        loss = build(name)
        head = head_for(loss).eval()
        features, target = batch(seed=seed)
        before = head(features)
        loss(before, target).backward()
        loss(before.detach(), target.flip(0))
        assert torch.equal(head(features), before)
        probabilities = loss.probabilities(before)
        torch.testing.assert_close(probabilities.sum(1), torch.ones(len(before), dtype=before.dtype))


@quick
@given(seeds, st.permutations(range(5)))
def test_losses_are_equivariant_to_permutations_of_the_classes(seed: int, renamed: list[int]) -> None:
    """Class k becomes renamed[k] in weights, targets, counts and important classes; value and gradients are equal."""
    new = torch.tensor(renamed)
    counts = [10 + 7 * k for k in range(5)]
    moved = [0] * 5
    for k, name in enumerate(renamed):
        moved[name] = counts[k]
    for name in SETTINGS:
        loss, features, target = build(name), *batch(seed=seed)
        head = head_for(loss)
        expected = value_and_gradients(loss(head(features), target), features, head.weight)
        other = build(name, class_counts=moved, important_class=[renamed[1], renamed[2]])
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.copy_(parameter[new.argsort()].clone())
        value, by_features, by_weight = value_and_gradients(other(head(features), new[target]), features, head.weight)
        assert_same([value, by_features, by_weight[new]], expected)


@quick
@given(seeds, st.floats(0.01, 100))
def test_cosines_do_not_depend_on_lengths(seed: int, factor: float) -> None:
    torch.manual_seed(seed)
    head = CosineHead(8, 5).double()
    features, _ = batch(seed=seed)
    before = head(features)
    assert before.abs().max() <= 1 + 1e-12
    with torch.no_grad():
        head.weight.mul_(torch.rand(5, 1) + factor)
    torch.testing.assert_close(head(features * factor), before)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_mean_of_halves_is_the_mean_of_all(name: str) -> None:
    """Otherwise gradient accumulation and DDP would not give the gradient of the whole batch."""
    loss = build(name)
    features, target = batch(size=40)
    scores = head_for(loss)(features)
    halves = (loss(scores[:20], target[:20]) + loss(scores[20:], target[20:])) / 2
    torch.testing.assert_close(loss(scores, target), halves)
