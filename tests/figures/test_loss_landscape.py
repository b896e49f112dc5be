"""Losses as functions of a two-dimensional feature, against their formulas."""

import math

import numpy as np
import pytest

from camri_exp.figures import loss_landscape
from camri_exp.losses import CAMRILoss
from camri_exp.models.heads import CosineHead

POINTS = 9
LINE = np.linspace(-4, 4, POINTS)


def by_hand(margin: float, target: int) -> np.ndarray:
    """CAMRI with weights at 0, 120 and 240 degrees, class 1 important, from angles; NaN at (0, 0), which has none."""
    values = np.full((POINTS, POINTS), np.nan)
    for row, y in enumerate(LINE):
        for column, x in enumerate(LINE):
            if x or y:
                theta = [abs(math.remainder(math.atan2(y, x) - 2 * math.pi * k / 3, 2 * math.pi)) for k in range(3)]
                scores = [16 * math.cos(t + margin * (k == target == 1)) for k, t in enumerate(theta)]
                values[row, column] = math.log(sum(math.exp(s - scores[target]) for s in scores))
    return values


def camri(margin: float) -> tuple[CAMRILoss, CosineHead]:
    loss = CAMRILoss(num_classes=3, important_class=1, margin=margin, scale=16, above_pi="reference")
    return loss, CosineHead(in_features=2, num_classes=3)


@pytest.mark.parametrize("target", [0, 1])
def test_a_landscape_is_the_formula_of_the_angles(target: int) -> None:
    values, expected = loss_landscape.landscape(*camri(margin=0.5), target, POINTS), by_hand(0.5, target)
    known = ~np.isnan(expected)
    np.testing.assert_allclose(values[known], expected[known], rtol=1e-4, atol=1e-5)


def test_one_loss_is_drawn_for_the_important_class_and_another_one() -> None:
    figure = loss_landscape.one_loss(*camri(margin=0.5), "CAMRI")
    assert [axes.get_title() for axes in figure.axes[:2]] == [
        "a sample of the important class 1",
        "a sample of class 0",
    ]


def test_all_losses_have_one_panel_each() -> None:
    losses = {f"margin {margin}": camri(margin) for margin in (0.1, 0.5, 1.0)}
    titles = [axes.get_title() for axes in loss_landscape.all_losses(losses).axes]
    assert [title for title in titles if title] == list(losses)
