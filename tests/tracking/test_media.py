"""Tables and missed images, on numbers that can be checked by hand."""

import numpy as np
import pytest
import torch
from PIL import Image

from camri_exp.results import SplitPredictions
from camri_exp.tracking import media

NAMES = ["cat", "dog", "fox"]
CONFUSION = np.array([[5, 3, 2], [0, 4, 0], [1, 0, 0]])


def test_mistakes_are_sorted_by_frequency() -> None:
    assert media.confused(CONFUSION, NAMES) == [
        ["cat", "dog", 3, 0.3],
        ["cat", "fox", 2, 0.2],
        ["fox", "cat", 1, 1.0],
    ]


def test_rates_per_class_are_none_where_undefined() -> None:
    cat, dog, fox = media.per_class(CONFUSION, NAMES, [1])
    assert cat[:4] == ["cat", False, 10, 0.5]
    assert cat[4] < 0.5 < cat[5]
    assert cat[6] == pytest.approx(5 / 6)
    assert dog[:4] == ["dog", True, 4, 1.0]
    assert fox[6] == 0.0
    (empty,) = media.per_class(np.zeros((1, 1), dtype=int), ["none"], [])
    assert empty[3:] == [None] * 4


def predictions(count: int) -> SplitPredictions:
    """Images of class 0: the first is correct, the others are predicted as class 1 with increasing confidence."""
    scores = np.zeros((count, 3), dtype=np.float32)
    scores[:, 1] = np.arange(count)
    scores[0, 0] = 1
    names = np.array([f"image {i}" for i in range(count)])
    return SplitPredictions(scores, np.zeros(count, dtype=np.int64), names)


def pixels(split: str, index: list[int]) -> torch.Tensor:
    assert split == "test"
    return torch.tensor(index, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)


def softmax(scores: torch.Tensor) -> torch.Tensor:
    return scores.softmax(1)


def test_missed_images_are_sorted_by_confidence_with_the_matching_pixels() -> None:
    rows = media.missed(predictions(4), [0], NAMES, pixels, softmax)
    assert [row[0] for _, row in rows] == ["image 3", "image 2", "image 1"]
    assert [picture.getpixel((0, 0)) for picture, _ in rows] == [(3, 3, 3), (2, 2, 2), (1, 1, 1)]
    assert rows[0][1][1:3] == ["cat", "dog"]
    assert rows[0][1][3:] == pytest.approx([np.exp(3) / (np.exp(3) + 2), 1 / (np.exp(3) + 2)])


def test_at_most_64_images_of_important_classes_are_shown() -> None:
    assert len(media.missed(predictions(100), [0], NAMES, pixels, softmax)) == 64
    assert media.missed(predictions(100), [1], NAMES, pixels, softmax) == []


def test_small_images_are_enlarged_by_a_whole_factor() -> None:
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8)
    picture = media.enlarged(image)
    assert picture.size == (96, 96)
    assert np.array_equal(np.asarray(picture.resize((8, 8), Image.Resampling.NEAREST)), image[0].numpy())
    assert media.enlarged(torch.zeros(3, 200, 300, dtype=torch.uint8)).size == (300, 200)
