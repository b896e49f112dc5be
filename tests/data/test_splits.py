"""Splits that are the same on every machine, and imbalance."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camri_exp.data import imbalance
from camri_exp.data.splits import by_hash, hold_out, stable_fraction
from camri_exp.errors import UserError


def test_the_published_rule() -> None:
    """Written out again, with eight values that must never change."""
    name = "antelope_10001.jpg"
    assert stable_fraction(name) == int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) / 2**64
    where = [by_hash(f"antelope_100{i:02}.jpg") for i in range(1, 9)]
    assert where == ["train", "val", "train", "train", "train", "test", "test", "train"]


def test_the_rule_in_the_docs_is_the_one_in_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    published: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], published)
    assert all(published["split"](name) == by_hash(name) for name in map(str, range(1000)))


def test_a_fifth_is_test_and_a_tenth_validation() -> None:
    often = Counter(by_hash(f"image {i}") for i in range(20_000))
    assert often["test"] / 20_000 == pytest.approx(0.2, abs=0.01)
    assert often["val"] / 20_000 == pytest.approx(0.1, abs=0.01)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=60))
def test_units_are_held_out_whole_in_any_order(pairs: list[tuple[int, int]]) -> None:
    target = np.array([label for label, _ in pairs])
    units = [f"{label}/{unit}" for label, unit in pairs]
    kept, held = hold_out(target, units, fraction=0.25)
    assert sorted([*kept, *held]) == list(range(len(pairs)))
    assert not {units[i] for i in kept} & {units[i] for i in held}
    assert {target[i] for i in held} == set(target.tolist())

    order = np.argsort([hash((unit, i)) for i, unit in enumerate(units)])
    _, again = hold_out(target[order], [units[i] for i in order], fraction=0.25)
    assert {units[order[i]] for i in again} == {units[i] for i in held}


def test_imbalance_of_one_class() -> None:
    target = np.repeat([0, 1, 2], 100)
    kept = imbalance.kept(target, ["a", "b", "c"], "class", 10, class_name="b")
    assert np.bincount(target[kept]).tolist() == [100, 10, 100]
    fewer = imbalance.kept(target, ["a", "b", "c"], "class", 50, class_name=1)
    assert set(fewer) <= set(kept)
    other = imbalance.kept(target, ["a", "b", "c"], "class", 10, class_name="b", seed=1)
    assert set(other) != set(kept)


def test_imbalance_profiles() -> None:
    target = np.repeat(np.arange(5), 1000)
    names = list("abcde")
    assert np.bincount(target[imbalance.kept(target, names, "exponential", 100)]).tolist() == [1000, 316, 100, 32, 10]
    assert np.bincount(target[imbalance.kept(target, names, "step", 10)]).tolist() == [1000, 1000, 1000, 100, 100]
    assert np.bincount(target[imbalance.kept(target, names, "step", 10_000)]).min() == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"profile": "linear", "ratio": 2}, "profile=linear; expected one of class, exponential, step"),
        ({"profile": "step", "ratio": 0.5}, "ratio=0.5; expected at least 1"),
        ({"profile": "step", "ratio": "ten"}, "ratio=ten; expected at least 1"),
        ({"profile": "class", "ratio": 2, "class_name": "caat"}, r"^data\.imbalance\.class_name=caat: .*mean 'cat'"),
        ({"profile": "class", "ratio": 2}, "profile=class with class_name=None; expected one class or a list"),
        ({"profile": "step", "ratio": 2, "class_name": "cat"}, "profile=step with class_name=cat; expected"),
    ],
)
def test_invalid_imbalance_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        imbalance.kept(np.array([0, 1]), ["cat", "dog"], **settings)
