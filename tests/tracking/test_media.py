"""Names, tags, tables and the missed images, on numbers that can be checked by hand."""

import numpy as np
import pytest
import torch
from PIL import Image

from camri_exp.tracking import media
from camri_exp.tracking.naming import LONGEST_NAME, LONGEST_TAG, run_name, tags

CONFIG = {"data": {"name": "digits"}, "loss": {"name": "camri"}}
NAMES = ["cat", "dog", "fox"]
CONFUSION = np.array([[5, 3, 2], [0, 4, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "digits camri"),
        (["data=digits", "loss=camri", "loss.margin=0.2", "seed=1"], "digits camri margin=0.2 seed=1"),
        (["+trainer.fast_dev_run=1", "logger.wandb.project=x", "sweep.name=y"], "digits camri fast_dev_run=1"),
        (["optimizer.lr=1", "scheduler.lr=2"], "digits camri optimizer.lr=1 scheduler.lr=2"),
    ],
)
def test_a_run_is_named_by_what_was_set(overrides: list[str], name: str) -> None:
    assert run_name(overrides, CONFIG) == name


def test_names_and_tags_keep_to_the_services_limits() -> None:
    assert len(run_name([f"loss.margin={'1' * 500}"], CONFIG)) == LONGEST_NAME
    found = tags(CONFIG, ["Stop", "digits", "x" * 100])
    assert found[:3] == ["digits", "camri", "Stop"]
    assert [len(tag) for tag in found[3:]] == [LONGEST_TAG]


def test_mistakes_come_most_frequent_first() -> None:
    assert media.confused(CONFUSION, NAMES) == [
        ["cat", "dog", 3, 0.3],
        ["cat", "fox", 2, 0.2],
        ["fox", "cat", 1, 1.0],
    ]


def test_a_class_says_its_rates_and_none_where_there_is_none() -> None:
    cat, dog, fox = media.per_class(CONFUSION, NAMES, [1])
    assert cat[:4] == ["cat", False, 10, 0.5]
    assert cat[4] < 0.5 < cat[5]
    assert cat[6] == pytest.approx(5 / 6)
    assert dog[:4] == ["dog", True, 4, 1.0]
    assert fox[6] == 0.0
    (empty,) = media.per_class(np.zeros((1, 1), dtype=int), ["none"], [])
    assert empty[3:] == [None] * 4


def arrays(count: int) -> dict[str, np.ndarray]:
    """All images are of class 0; the first is right, the others are taken for class 1, later ones more surely."""
    scores = np.zeros((count, 3), dtype=np.float32)
    scores[:, 1] = np.arange(count)
    scores[0, 0] = 1
    names = np.array([f"image {i}" for i in range(count)])
    return {"test_scores": scores, "test_target": np.zeros(count, dtype=np.int64), "test_name": names}


def pixels(split: str, index: list[int]) -> torch.Tensor:
    assert split == "test"
    return torch.tensor(index, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)


def softmax(scores: torch.Tensor) -> torch.Tensor:
    return scores.softmax(1)


def test_the_surest_mistakes_come_first_each_with_its_own_picture() -> None:
    found = media.missed(arrays(4), [0], NAMES, pixels, softmax)
    assert [row[0] for _, row in found] == ["image 3", "image 2", "image 1"]
    assert [picture.getpixel((0, 0)) for picture, _ in found] == [(3, 3, 3), (2, 2, 2), (1, 1, 1)]
    assert found[0][1][1:3] == ["cat", "dog"]
    assert found[0][1][3:] == pytest.approx([np.exp(3) / (np.exp(3) + 2), 1 / (np.exp(3) + 2)])


def test_at_most_64_are_shown_and_none_of_the_other_classes() -> None:
    assert len(media.missed(arrays(100), [0], NAMES, pixels, softmax)) == 64
    assert media.missed(arrays(100), [1], NAMES, pixels, softmax) == []


def test_small_pictures_are_enlarged_in_whole_pixels() -> None:
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8)
    picture = media.enlarged(image)
    assert picture.size == (96, 96)
    assert np.array_equal(np.asarray(picture.resize((8, 8), Image.Resampling.NEAREST)), image[0].numpy())
    assert media.enlarged(torch.zeros(3, 200, 300, dtype=torch.uint8)).size == (300, 200)
