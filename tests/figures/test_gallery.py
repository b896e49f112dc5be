"""Grids of images with captions."""

import numpy as np

from camri_exp.figures.gallery import gallery
from tests.helpers.figures import overlaps, text_boxes


def test_each_image_is_shown_once():
    images = np.random.default_rng(0).integers(0, 256, (11, 3, 8, 8), dtype=np.uint8)
    figure = gallery(images, [f"{i}.png" for i in range(11)], "eleven")
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == [f"{i}.png" for i in range(11)]
    for axes, image in zip(shown, images, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image.transpose(1, 2, 0))
    assert not overlaps(text_boxes(figure, [axes.title for axes in shown]))
    grey = gallery(images[:2, :1], ["a", "b"], "grey").axes[0].images[0].get_array()
    assert (grey == images[0, 0][:, :, None]).all()


def test_without_images_the_figure_says_none():
    figure = gallery(np.zeros((0, 3, 8, 8), np.uint8), [], "none missed")
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["none"]
