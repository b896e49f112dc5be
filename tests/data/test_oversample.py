"""``data.oversample``: images of some classes are drawn more often."""

import numpy as np
import pytest

from camri_exp.data.oversample import repeated
from camri_exp.errors import UserError
from tests.conftest import Command
from tests.helpers.tiny import TinyDataModule

NAMES = ["red", "green", "blue"]
TARGET = np.array([0, 1, 1, 2, 0, 1, 1])


def test_images_appear_as_often_as_the_factor_says() -> None:
    times = np.bincount(repeated(TARGET, NAMES, ["green", 2], [2.5, 3]), minlength=len(TARGET))
    assert times[TARGET == 0].tolist() == [1, 1]
    assert sorted(times[TARGET == 1].tolist()) == [2, 2, 3, 3]
    assert times[TARGET == 2].tolist() == [3]
    assert (repeated(TARGET, NAMES, "green", 1) == np.arange(7)).all()


@pytest.mark.parametrize("factor", [0.5, [2.0, 3.0], float("inf")])
def test_a_wrong_factor_is_refused(factor: float | list[float]) -> None:
    with pytest.raises(UserError, match="expected a number of at least 1, or one per class"):
        repeated(TARGET, NAMES, "green", factor)


def test_an_epoch_draws_them_and_shuffles_anew() -> None:
    data = TinyDataModule(image_size=8, batch_size=15, augment=False, oversample={"class_name": "green", "factor": 4})
    data.setup()
    plain = np.bincount(data.splits["train"].target, minlength=6)
    loader = data.train_dataloader()
    epochs = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        epochs.append(np.concatenate([target.numpy() for _, target in loader]))
    for drawn in epochs:
        assert np.bincount(drawn).tolist() == (plain * [1, 4, 1, 1, 1, 1]).tolist()
    assert (epochs[0] != epochs[1]).any()
    assert data.class_counts == plain.tolist()  # of different images


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{class_name:lilac,factor:2}", "error: data.oversample.class_name=lilac: data has no class of that name."),
        ("{factor:2}", "error: data.oversample.class_name is missing: expected an id, a name, or a list of either."),
    ],
)
def test_a_wrong_value_ends_in_one_line(train: Command, value: str, message: str) -> None:
    finished = train(f"data.oversample={value}")
    assert finished.err.strip().splitlines()[-1].startswith(message)
