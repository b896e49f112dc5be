"""The schema of a plug-in is its constructor."""

import collections.abc
import math
from typing import Any

import pytest
import torch

from camri_exp.errors import UserError
from camri_exp.schema.plugins import check_arguments, parameters_of


class Base:
    def __init__(self, size: int, rate: "float | torch.Tensor" = 0.1, *, path: "Unknown" = None) -> None:  # noqa: F821
        pass


class Derived(Base):
    needs = frozenset({"counts"})

    def __init__(self, names: collections.abc.Sequence[str], counts: list[int], free=3, **rest: Any) -> None:  # type: ignore[no-untyped-def]
        super().__init__(**rest)


class Open:
    def __init__(self, limit: float = math.inf, **options: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        (Derived, {"names": ["a"], "size": 3, "rate": 1}),
        (Derived, {"names": [], "free": {"any": "thing"}, "path": 5}),
        (Derived, {"counts": None, "name": 5, "_target_": "x", "_partial_": True}),
        (Derived, {"names": {"_target_": "builtins.list"}, "rate": {"_target_": "torch.tensor", "data": 1}}),
        (Open, {"limit": math.inf, "whatever": object}),
        (torch.optim.Adam, {"lr": 1e-3, "betas": [0.9, 0.99], "fused": True, "foreach": None}),
        (torch.optim.lr_scheduler.MultiStepLR, {"milestones": [3, 5], "gamma": 0.1}),
    ],
)
def test_what_the_constructor_takes_is_accepted(target: Any, settings: dict[str, Any]) -> None:
    check_arguments(target, settings, "key")


@pytest.mark.parametrize(
    ("target", "settings", "message"),
    [
        (Derived, {"names": "abc"}, "key.names=abc: expected a list of texts."),
        (Derived, {"size": 1.5}, "key.size=1.5: expected a whole number."),
        (Derived, {"size": None}, "key.size=null: expected a whole number."),
        (Derived, {"rate": "fast"}, "key.rate=fast: expected a number."),
        (Derived, {"rate": math.nan}, "key.rate=nan: expected a number."),
        (Base, {"sizes": 3}, "key.sizes: Base has no such argument. Did you mean 'size'?"),
        (Open, {"limit": -math.inf}, "key.limit=-inf: expected a number."),
        (torch.optim.Adam, {"lr": True}, "key.lr=true: expected a number."),
        (torch.optim.Adam, {"beta": [1, 2]}, "key.beta: Adam has no such argument. Did you mean 'betas'?"),
    ],
)
def test_what_it_does_not_take_is_refused(target: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        check_arguments(target, settings, "key")
    assert str(error.value) == message


def test_rest_is_followed_to_the_base_class() -> None:
    parameters, is_open = parameters_of(Derived)
    assert list(parameters) == ["names", "counts", "free", "size", "rate", "path"]
    assert not is_open
    assert parameters_of(Open)[1]
