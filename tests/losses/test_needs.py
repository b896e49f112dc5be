"""What a loss declares in ``needs`` is what its constructor takes; its subclasses inherit it."""

import inspect
import re
from typing import Any

import pytest
from omegaconf import OmegaConf

from camri_exp import losses
from camri_exp.errors import UserError
from camri_exp.identity import identity_of
from camri_exp.losses import CAMRILoss, CrossEntropyLoss, LDAMLoss, Loss
from camri_exp.models.factory import build_loss
from tests.helpers.loss_batches import SETTINGS

FACTS: dict[str, Any] = {"num_classes": 5, "important_class": [1, 2], "class_counts": [9, 8, 7, 6, 5]}


def parameters(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(getattr(losses, name)).parameters)


@pytest.mark.parametrize("name", SETTINGS)
def test_needs_are_parameters_of_the_constructor_and_known_facts(name: str) -> None:
    assert getattr(losses, name).needs <= set(parameters(name)) & set(FACTS)


@pytest.mark.parametrize("name", SETTINGS)
def test_facts_that_the_constructor_takes_are_declared(name: str) -> None:
    """One with a default too: a loss that takes the important class but does not declare it would not be given it."""
    assert getattr(losses, name).needs == set(parameters(name)) & set(FACTS)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_never_named_like_facts(name: str) -> None:
    assert not set(SETTINGS[name]) & set(FACTS)


class ForwardingLoss(CAMRILoss):
    """Adds a setting, and forwards everything else."""

    def __init__(self, sharpness: float, **rest: Any) -> None:
        super().__init__(**rest)
        self.sharpness = sharpness


class CuriousLoss(CrossEntropyLoss):
    needs = frozenset({"num_classes", "weather"})

    def __init__(self, num_classes: int, weather: str) -> None:
        super().__init__()


class PlainModuleLoss(Loss):
    """Declares nothing."""


def config(target: type[Loss], **settings: Any) -> Any:
    return OmegaConf.create(
        {
            "loss": {"name": "mine", "_target_": f"{target.__module__}.{target.__name__}", **settings},
            "important_class": None,
            "seed": 0,
        }
    )


def test_a_subclass_that_forwards_its_arguments_inherits_the_needs() -> None:
    loss = build_loss(config(ForwardingLoss, sharpness=2.0, margin=0.2, scale=16.0), FACTS)
    assert isinstance(loss, ForwardingLoss)
    assert loss.score_type == "cosine"
    assert loss.margins.tolist() == [0, 0.2, 0.2, 0, 0]


def test_it_is_not_class_free() -> None:
    """Otherwise a report would use its runs for every important class."""
    cfg = config(ForwardingLoss, sharpness=2.0, margin=0.2, scale=16.0)
    assert not identity_of(cfg, build_loss(cfg, FACTS).needs).class_free
    first, second = (
        identity_of(OmegaConf.merge(cfg, {"important_class": k}), ForwardingLoss.needs).configuration for k in (1, 2)
    )
    assert first != second


def test_a_loss_that_declares_nothing_is_class_free() -> None:
    cfg = config(PlainModuleLoss)
    assert identity_of(cfg, build_loss(cfg, FACTS).needs).class_free


def test_a_need_that_is_not_known_ends_in_one_line() -> None:
    message = "loss=mine needs weather, which is not known here. Known: num_classes, important_class, class_counts."
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        build_loss(config(CuriousLoss), FACTS)
    assert "\n" not in str(caught.value)


def test_a_config_may_set_a_fact() -> None:
    loss = build_loss(config(LDAMLoss, class_counts=[16, 1], max_margin=0.5), FACTS)
    assert loss.margins.tolist() == [0.25, 0.5]
