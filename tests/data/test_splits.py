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
from camri_exp.data.splits import HashRule, hold_out, stable_fraction
from camri_exp.errors import UserError

rule = HashRule()


def test_the_published_rule() -> None:
    """Written out again, with eight values that must never change."""
    name = "antelope_10001.jpg"
    assert stable_fraction(name) == int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) / 2**64
    where = [rule(f"antelope_100{i:02}.jpg") for i in range(1, 9)]
    assert where == ["train", "val", "train", "train", "train", "test", "test", "train"]


def test_the_rule_in_the_docs_is_the_one_in_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    published: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], published)
    assert all(published["split"](name) == rule(name) for name in map(str, range(1000)))


def test_a_fifth_is_test_and_a_tenth_validation() -> None:
    often = Counter(rule(f"image {i}") for i in range(20_000))
    assert often["test"] / 20_000 == pytest.approx(0.2, abs=0.01)
    assert often["val"] / 20_000 == pytest.approx(0.1, abs=0.01)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=60))
def test_units_are_held_out_whole_in_any_order(pairs: list[tuple[int, int]]) -> None:
    target = np.array([label for label, _ in pairs])
    units = [f"{label}/{unit}" for label, unit in pairs]
    kept, held = hold_out(target, units, {"val": 0.25}).values()
    assert sorted([*kept, *held]) == list(range(len(pairs)))
    assert not {units[i] for i in kept} & {units[i] for i in held}
    assert {target[i] for i in held} == set(target.tolist())

    order = np.argsort([hash((unit, i)) for i, unit in enumerate(units)])
    again = hold_out(target[order], [units[i] for i in order], {"val": 0.25})["val"]
    assert {units[order[i]] for i in again} == {units[i] for i in held}


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.floats(0.05, 0.4))
def test_a_calibration_split_takes_units_from_training_alone(units: list[int], fraction: float) -> None:
    target, names = np.array([unit % 3 for unit in units]), [f"unit {unit}" for unit in units]
    before = hold_out(target, names, {"val": 0.2, "calibration": 0})
    after = hold_out(target, names, {"val": 0.2, "calibration": fraction})
    assert list(before) == ["train", "val"]
    np.testing.assert_array_equal(before["val"], after["val"])
    assert sorted([*after["train"], *after["calibration"]]) == before["train"].tolist()
    assert not {names[i] for i in after["calibration"]} & {names[i] for i in after["train"]}


def test_calibration_follows_validation_in_the_rule() -> None:
    names = [f"image {i}" for i in range(20_000)]
    before, after = map(rule, names), map(HashRule(calibration=0.15), names)
    pairs = Counter(zip(before, after, strict=True))
    assert set(pairs) == {("train", "train"), ("train", "calibration"), ("val", "val"), ("test", "test")}
    assert pairs["train", "calibration"] / 20_000 == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"calibration": 0.8}, r"the held-out fractions add up to 1\.1, which leaves no training images"),
        ({"folds": 2, "val": 0.3, "calibration": 0.2}, "the held-out fractions add up to 1, which leaves no"),
        ({"folds": 1}, "folds=1 and test_fraction=0.2; expected at least 2 folds"),
        ({"folds": 4, "test": 0.25}, "folds=4 and test_fraction=0.25; .* and then no test_fraction"),
        ({"folds": 5, "fold": 5}, "fold=5 and folds=5; expected folds=K and a fold from 0 to K - 1"),
        ({"fold": 1}, "fold=1 and folds=None; expected folds=K and a fold"),
        ({"folds": 5, "fold": -1}, "fold=-1 and folds=5; expected"),
    ],
)
def test_invalid_rules_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HashRule(**settings)


@given(st.integers(2, 12), st.text(min_size=1, max_size=20))
def test_every_name_is_test_in_exactly_one_fold(folds: int, name: str) -> None:
    splits = [HashRule(folds=folds, fold=fold, val=0.1, calibration=0.05)(name) for fold in range(folds)]
    assert splits.count("test") == 1
    assert splits.count("val") <= 2


def test_folds_have_their_fractions_and_the_first_of_five_is_the_rule() -> None:
    names = [f"image {i}" for i in range(20_000)]
    assert all(HashRule(folds=5)(name) == rule(name) for name in names)
    for fold in range(4):
        often = Counter(map(HashRule(folds=4, fold=fold, val=0.2), names))
        assert often["test"] / 20_000 == pytest.approx(0.25, abs=0.01)
        assert often["val"] / 20_000 == pytest.approx(0.2, abs=0.01)


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
