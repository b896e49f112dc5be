"""The metadata in a checkpoint, which may come from elsewhere."""

from typing import Any

import pytest

from camri_exp.errors import UserError
from camri_exp.models.metadata import ModelMetadata

STORED: dict[str, Any] = {
    "data": "folder", "loss": "ce", "model": "small_cnn", "class_names": ["a", "b"], "class_counts": [1, 1],
    "important_class": [0], "channels": 1, "image_size": 8, "mean": [0.5], "std": [0.5],
}  # fmt: skip


def test_the_range_is_that_of_the_preprocessing() -> None:
    assert ModelMetadata.from_dict(STORED, "x.ckpt").preprocessing.range is None  # as in checkpoints without the field
    stored = ModelMetadata.from_dict(STORED | {"range": [-1000, 3000]}, "x.ckpt")
    assert stored.preprocessing.range == (-1000, 3000)
    assert ModelMetadata.from_dict(stored.to_dict(), "x.ckpt") == stored


@pytest.mark.parametrize("limits", [[5, 5], [0, float("nan")], [float("-inf"), 0], [1], "text"])
def test_a_range_that_is_none_is_refused_in_one_line(limits: object) -> None:
    with pytest.raises(UserError, match=r"^x\.ckpt is damaged: range[^\n]*\.$"):
        ModelMetadata.from_dict(STORED | {"range": limits}, "x.ckpt")
