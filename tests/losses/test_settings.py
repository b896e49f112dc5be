"""Wrong settings end in errors that say what was expected; constants are buffers."""

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from camri_exp import losses
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
    OutlyingLabelMSELoss,
    RealWorldWeightedCrossEntropyLoss,
    RecallTargetLoss,
    VectorScalingLoss,
    WeightedCrossEntropyLoss,
)
from tests.helpers.loss_batches import SETTINGS, build

NAN, INF = float("nan"), float("inf")
CRWWCE, MSE, WCE = RealWorldWeightedCrossEntropyLoss, OutlyingLabelMSELoss, WeightedCrossEntropyLoss


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CAMRILoss(5, 1, 11.25, 16.0), "margin=11.25; expected radians in [0, pi), not degrees"),
        (lambda: CAMRILoss(5, 1, -0.1, 16.0), "margin=-0.1; expected radians in [0, pi)"),
        (lambda: CAMRILoss(5, 1, torch.pi, 16.0), "margin=3.14159; expected radians in [0, pi)"),
        (lambda: CAMRILoss(5, 1, NAN, 16.0), "margin holds NaN"),
        (lambda: CAMRILoss(5, 1, "wide", 16.0), "margin='wide'; expected numbers"),
        (lambda: CAMRILoss(5, [1, 2], [0.1, 0.2, 0.3], 16.0), "margin has 3 values; expected one number, or 2"),
        (lambda: CAMRILoss(5, 5, 0.2, 16.0), "important_class=5; expected ids from 0 to 4"),
        (lambda: CAMRILoss(5, -1, 0.2, 16.0), "important_class=-1; expected ids from 0 to 4"),
        (lambda: CAMRILoss(5, 1.5, 0.2, 16.0), "important_class=1.5; expected ids"),
        (lambda: CAMRILoss(5, [], 0.2, 16.0), "important_class is empty"),
        (lambda: CAMRILoss(5, [1, 1], 0.2, 16.0), "names a class twice"),
        (lambda: CAMRILoss(5, 1, 0.2, 0.0), "scale=0.0; expected a number above 0"),
        (lambda: CAMRILoss(5, 1, 0.2, -1), "scale=-1; expected a number above 0"),
        (lambda: CAMRILoss(5, 1, 0.2, NAN), "scale=nan; expected a number above 0"),
        (lambda: CAMRILoss(5, 1, 0.2, "16"), "scale='16'; expected a number above 0"),
        (lambda: CAMRILoss(5, 1, 0.2, "wide"), "scale='wide'; expected a number above 0, or auto"),
        (lambda: CAMRILoss(5, 1, 0.2, 16.0, other_margin=4.0), "other_margin=4.0; expected a number of at least 0 and"),
        (lambda: CAMRILoss(5, 1, 0.2, 16.0, "soft"), "above_pi='soft'; expected one of hard, easy, reference"),
        (lambda: ArcFaceLoss(5, [0.1, 0.2], 16.0), "margin has 2 values; expected one number or 5"),
        (lambda: L2SoftmaxLoss(5, INF), "scale=inf"),
        (lambda: CosFaceLoss(5, 2.5, 16.0), "margin=2.5; expected at most 2"),
        (lambda: CosFaceLoss(5, -0.1, 16.0), "margin holds -0.1; expected numbers of at least 0"),
        (lambda: LDAMLoss([5, 0, 3]), "at least one training image"),
        (lambda: LDAMLoss([5, 3], max_margin=0), "max_margin=0; expected a number above 0"),
        (lambda: LogitAdjustedLoss([5, 3], tau=NAN), "tau=nan; expected a number of at least 0"),
        (lambda: LogitAdjustedLoss(None), "class_counts is missing"),
        (lambda: ClassBalancedLoss([5, 3], beta=1.0), "beta=1.0; expected a number of at least 0 and below 1"),
        (lambda: CrossEntropyLoss(1.0), "label_smoothing=1.0; expected a number of at least 0 and below 1"),
        (lambda: FocalLoss(-1.0), "gamma=-1.0; expected a number of at least 0"),
        (lambda: FocalLoss(2.0, [1.0, NAN]), "alpha holds NaN"),
        (lambda: FocalLoss(2.0, [1.0, -1.0]), "alpha holds -1; expected numbers of at least 0"),
        (lambda: FocalLoss(2.0, 0.25), "alpha has 1 values; expected a list of K, one per class"),
        (lambda: FocalLoss(2.0, [1.0, 2.0], num_classes=5), "alpha has 2 values; expected a list of 5, one per class"),
        (lambda: WCE(5, NAN, 1), "weight holds NaN"),
        (lambda: WCE(5, -1.0, 1), "weight holds -1; expected numbers of at least 0"),
        (lambda: WCE(5, [1.0, 2.0]), "weight has 2 values; expected one number or 5"),
        (lambda: WCE(5, "even"), "weight='even'; expected a number, 5 numbers, or balanced"),
        (lambda: WCE(5, "balanced"), "class_counts is missing"),
        (lambda: WCE(5, "balanced", None, [3, 4]), "2 values; expected one number or 5"),
        (lambda: WCE(5, 4.0), "important_class is missing"),
        (lambda: WCE(5, 4.0, 1, normalize="sum"), "normalize='sum'; expected one of batch, weights"),
        (lambda: CRWWCE(5, NAN, 0.0), "false_negative holds NaN"),
        (lambda: CRWWCE(5, 1.0, [[0.0] * 5] * 4), "false_positive has 4 x 5 values; expected one number, or 5 x 5"),
        (lambda: CRWWCE(5, [1.0] * 4, 0.0), "false_negative has 4 values"),
        (lambda: CRWWCE(5, 1.0, -1.0), "false_positive holds -1; expected numbers of at least 0"),
        (lambda: CostSensitiveLoss(5, 1, 0.0), "price holds 0; expected numbers of at least 1e-06"),
        (lambda: CostSensitiveLoss(5, [1, 2], [2.0] * 3), "price has 3 values; expected one number, or 2"),
        (lambda: CostSensitiveCosineLoss(5, 1, 2.0, 0), "scale=0; expected a number above 0"),
        (lambda: VectorScalingLoss(5, 0.8, -1.0), "multiplier=0.8 is for the important classes, but important_class"),
        (lambda: VectorScalingLoss(5, 0.0, -1.0, important_class=1), "multiplier holds 0; expected numbers above 0"),
        (lambda: VectorScalingLoss(5, 1.0, 0.0, 0.0, important_class=1), "weight holds 0; expected numbers above 0"),
        (lambda: VectorScalingLoss(5, "rare", 0.0), "multiplier='rare'; expected a number, 5 numbers, or counts"),
        (lambda: VectorScalingLoss(5, "counts", "counts"), "class_counts is missing"),
        (lambda: VectorScalingLoss(2, 1.0, "counts", class_counts=[1, 2], tau=-1), "tau=-1; expected a number of at"),
        (lambda: MSE(5, 2.0, 5.0), "important_class is missing"),
        (lambda: MSE(5, 0.0, 5.0, 1), "expected numbers above 0"),
        (lambda: MSE(5, [1.0] * 4, 5.0), "ranks has 4 values"),
        (lambda: MSE(5, "rarity", 5.0), "ranks='rarity'; expected a number, 5 numbers, or counts"),
        (lambda: MSE(5, [1.0] * 5, 0.0), "alpha=0.0; expected a number above 0"),
        (lambda: MSE(5, [1.0] * 5, 1.0, decoder="best"), "decoder='best'; expected one of argmax"),
        (lambda: RecallTargetLoss(5, 1, 1.0), "recall=1.0; expected a recall above 0 and below 1"),
        (lambda: RecallTargetLoss(5, 1, 0.9, held_out=0.0), "held_out=0.0; expected a number of at least 0.001 and"),
        (lambda: RecallTargetLoss(5, 1, 0.9, max_price=0.5), "max_price=0.5; expected a number of at least 1"),
        (lambda: LDAMLoss([5, 3], beta=1.0), "beta=1.0; expected a number of at least 0 and below 1"),
    ],
)
def test_a_wrong_setting_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        make()
    assert len(str(error.value)) < 160


# Those that know K, or one value per class. Focal loss does with alpha only.
WITH_CLASSES = [name for name in SETTINGS if getattr(losses, name).needs and name != "FocalLoss"]


@pytest.mark.parametrize("name", WITH_CLASSES)
def test_scores_of_another_class_count_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the scores have 6 classes, the loss was made for 5"):
        build(name)(torch.zeros(2, 6), torch.tensor([0, 1]))


def test_alpha_of_another_class_count_is_refused() -> None:
    with pytest.raises(ValueError, match="the scores have 6 classes, the loss was made for 2"):
        FocalLoss(2.0, [1.0, 2.0])(torch.zeros(2, 6), torch.tensor([0, 1]))


def test_every_exported_loss_has_a_config_and_is_in_these_tests() -> None:
    exported = {name for name, value in vars(losses).items() if isinstance(value, type) and name.endswith("Loss")}
    assert exported - {"Loss", "AngularMarginLoss"} == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_state_is_buffers_that_move_and_are_saved(name: str) -> None:
    loss = build(name)
    assert not list(loss.parameters())
    assert not [value for value in vars(loss).values() if isinstance(value, torch.Tensor)]
    assert all(buffer.device.type == "meta" for buffer in build(name).to("meta").buffers())
    file = io.BytesIO()
    torch.save(loss.state_dict(), file)
    file.seek(0)
    build(name).load_state_dict(torch.load(file, weights_only=True))


def test_only_important_classes_have_a_margin() -> None:
    assert CAMRILoss(5, [3, 1], [0.5, 0.25], 16.0).margins.tolist() == [0, 0.25, 0, 0.5, 0]
    assert CAMRILoss(5, (3,), 0.5, 16.0).margins.tolist() == [0, 0, 0, 0.5, 0]
    assert LDAMLoss([16, 1], 0.5).margins.tolist() == [0.25, 0.5]
    assert CosFaceLoss(3, [0.1, 0.2, 0.3], 16.0).margins.tolist() == [0.1, 0.2, 0.3]


def test_the_public_signatures_take_settings_by_position() -> None:
    assert CAMRILoss(5, 1, 0.2, 16.0, "easy").above_pi == "easy"
    assert (ArcFaceLoss(5, 0.2, 16.0).scale, L2SoftmaxLoss(5, 8.0).scale, CosFaceLoss(5, 0.2, 4.0).scale) == (16, 8, 4)
    assert (FocalLoss(2.0).gamma, FocalLoss(2.0, alpha=None).alpha) == (2.0, None)
    assert CRWWCE(5, 2.0, 0.5).false_negative.tolist() == [2.0] * 5
    assert MSE(2, [1.0, 2.0], 5.0).label.tolist() == [5.0, 10.0]
