"""Losses that declare soft targets: the value for shares of classes follows from that for single classes."""

import pytest
import torch
from torch.nn.functional import one_hot

from camri_exp import losses
from tests.helpers.loss_batches import SETTINGS, build

SOFT = [name for name in SETTINGS if getattr(losses, name).soft_targets]
SCORES = torch.randn(8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).tanh()
FIRST, SECOND = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2]), torch.tensor([1, 1, 0, 2, 3, 4, 2, 0])


def test_the_losses_that_are_cross_entropy_of_changed_scores_take_soft_targets():
    assert {"CrossEntropyLoss", "WeightedCrossEntropyLoss", "LogitAdjustedLoss", "CostSensitiveLoss"} <= set(SOFT)
    assert not {"CAMRILoss", "ArcFaceLoss", "FocalLoss", "OutlyingLabelMSELoss"} & set(SOFT)


@pytest.mark.parametrize("name", SOFT)
def test_a_share_of_one_is_the_class_itself(name):
    loss = build(name)
    torch.testing.assert_close(loss(SCORES, one_hot(FIRST, 5).double()), loss(SCORES, FIRST))


@pytest.mark.parametrize("name", SOFT)
def test_the_loss_of_a_mixture_is_the_mixture_of_the_losses(name):
    loss = build(name)
    mixed = 0.3 * one_hot(FIRST, 5).double() + 0.7 * one_hot(SECOND, 5).double()
    torch.testing.assert_close(loss(SCORES, mixed), 0.3 * loss(SCORES, FIRST) + 0.7 * loss(SCORES, SECOND))


def test_weights_that_are_normalised_by_their_sum_are_summed_over_the_shares():
    loss = build("WeightedCrossEntropyLoss", normalize="weights")
    torch.testing.assert_close(loss(SCORES, one_hot(FIRST, 5).double()), loss(SCORES, FIRST))
    mixed = 0.3 * one_hot(FIRST, 5).double() + 0.7 * one_hot(SECOND, 5).double()
    weight = loss.weight
    log_p = SCORES.log_softmax(1)
    torch.testing.assert_close(loss(SCORES, mixed), -(mixed * weight * log_p).sum() / (mixed @ weight).sum())
