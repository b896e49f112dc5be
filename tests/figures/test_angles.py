"""Histograms of the angles to the weight of the own class."""

import numpy as np
import pytest

from camri_exp.figures.angles import angle_histograms


def test_histograms_are_shares_of_the_important_and_of_the_other_classes():
    random = np.random.default_rng(0)
    target = random.integers(5, size=600)
    angle = np.where(target == 2, 0.4, 0.9) + random.normal(0, 0.1, 600)
    axes = angle_histograms(angle, target, [2], "cat").axes[0]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    inside = np.degrees(angle[target == 2])
    assert legend[0] == f"cat: {inside.mean():.1f}° ± {inside.std():.1f}° (n = {len(inside)})"
    assert legend[1].startswith("other classes: ")
    shares = [patch.get_xy()[1:-1:2, 1].sum() for patch in axes.patches]
    assert shares == [pytest.approx(1)] * 2


def test_classes_without_images_are_left_out():
    axes = angle_histograms(np.full(4, 0.5), np.zeros(4, int), [1], "b").axes[0]
    assert len(axes.get_legend().get_texts()) == 1
