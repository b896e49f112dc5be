"""Config nodes to objects: what is passed on, and errors that name the config key."""

import re
from typing import Any

import pytest
from omegaconf import OmegaConf

from camri_exp.errors import UserError
from camri_exp.instantiate import instantiate, partial_of

CAMRI = {"_target_": "camri_exp.losses.CAMRILoss", "name": "camri", "margin": 0.2, "scale": 16.0}


class Named:
    """A stand-in for a logger, whose ``name`` is an argument."""

    def __init__(self, name: str = "", important_class: int = -1) -> None:
        self.name, self.important_class = name, important_class


def node(**values: Any) -> Any:
    return OmegaConf.create(values)


def test_objects_fill_what_the_config_leaves_open() -> None:
    loss = instantiate(node(**CAMRI), "loss=camri", num_classes=3, important_class=[1])
    assert loss.margins.tolist() == [0, 0.2, 0]
    given = instantiate(node(**CAMRI, important_class=[2]), "loss=camri", num_classes=3, important_class=[1])
    assert given.margins.tolist() == [0, 0, 0.2]


@pytest.mark.parametrize(
    ("where", "name", "important_class"), [("logger.x", "n", 3), ("loss=x", "", 3), ("data", "", -1)]
)
def test_metadata_of_a_group_are_no_arguments(where: str, name: str, important_class: int) -> None:
    built = instantiate(node(_target_=f"{__name__}.Named", name="n", important_class=3), where)
    assert (built.name, built.important_class) == (name, important_class)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (CAMRI | {"margin": 11.25}, "loss=camri: margin=11.25; expected radians"),
        (CAMRI | {"_target_": "nowhere.Loss"}, "loss=camri: _target_=nowhere.Loss cannot be imported"),
        (CAMRI | {"_target_": "camri_exp.losses.NoLoss"}, "cannot be imported"),
        (CAMRI | {"colour": "red"}, "loss.colour: CAMRILoss has no such argument"),
    ],
)
def test_an_error_names_the_key_in_one_line(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)) as error:
        instantiate(node(**values), "loss=camri", num_classes=3, important_class=[1])
    assert len(str(error.value).splitlines()) == 1


def test_a_partial_binds_the_config() -> None:
    make = partial_of(node(_target_="torch.optim.Adam", _partial_=True, lr=0.5), "optimizer")
    import torch

    assert make([torch.nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"] == 0.5
