"""Job folders: named by their overrides, whatever the order, and short enough for any file system."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camri_exp.identity import job_name

overrides = st.lists(
    st.tuples(st.sampled_from(["loss", "loss.margin", "+a/b", "data.root", "seed"]), st.text(max_size=80)).map(
        "=".join
    ),
    max_size=8,
    unique=True,
)


def test_name_is_readable() -> None:
    assert job_name(["seed=0", "loss.margin=0.1", "loss=camri"]) == "loss-camri+loss.margin-0.1+seed-0"
    assert job_name([]) == "default"


def test_what_changes_no_number_is_not_in_the_name() -> None:
    assert job_name(["loss=ce", "sweep.name=mine", "++sweep.only.ce.seed=1", "logger=none"]) == "loss-ce"


@given(overrides, st.randoms(use_true_random=False))
def test_name_is_a_short_plain_file_name_and_does_not_depend_on_the_order(
    items: list[str], shuffler: random.Random
) -> None:
    name = job_name(items)
    shuffled = list(items)
    shuffler.shuffle(shuffled)

    assert job_name(shuffled) == name
    assert 0 < len(name) <= 160
    assert set(name) <= set(string.ascii_letters + string.digits + "_.+-")
    assert not name.startswith("-")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["data.root=a b"], ["data.root=a_b"]),
        (["data.root=a/b"], ["data.root=[a,b]"]),
        (["data.root=a=b"], ["data.root=a-b"]),
        (["data.root=a+seed=1"], ["data.root=a", "seed=1"]),
        (["data.root=" + "a" * 300], ["data.root=" + "a" * 301]),
        (["a=1", "b=-1"], ["a=-1", "b=1"]),
        (["seed="], []),
    ],
)
def test_different_overrides_have_different_names(one: list[str], other: list[str]) -> None:
    assert job_name(one) != job_name(other)
