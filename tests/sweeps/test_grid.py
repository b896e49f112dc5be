"""Which jobs a sweep has: lists for all losses, lists for one, and what wins over what."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from camri_exp.errors import UserError
from camri_exp.sweep_plan import add_to_plan
from camri_exp.sweeps.grid import expand

KEYS = {"ce": ["label_smoothing"], "camri": ["margin", "scale"], "arcface": ["margin", "scale"], "wce": ["weight"]}


def jobs(*arguments: str, params: Any = None, only: Any = None) -> list[str]:
    return [" ".join(sorted(job)) for job in expand(params or {}, only or {}, arguments, "camri", KEYS.__getitem__)]


def test_product_of_all_lists() -> None:
    assert jobs("loss.margin=0.1,0.2", "seed=range(2)") == [
        "loss.margin=0.1 loss=camri seed=0",
        "loss.margin=0.1 loss=camri seed=1",
        "loss.margin=0.2 loss=camri seed=0",
        "loss.margin=0.2 loss=camri seed=1",
    ]


def test_key_that_only_some_losses_have_is_given_to_those() -> None:
    found = jobs("loss=ce,camri,arcface", "loss.margin=0.1,0.2", "seed=0,1")

    assert len(found) == 2 + 4 + 4
    assert [job for job in found if "loss=ce" in job] == ["loss=ce seed=0", "loss=ce seed=1"]


def test_list_for_one_loss() -> None:
    found = jobs("loss=ce,wce,camri", "sweep.only.wce.loss.weight=2,4", "sweep.only.camri.loss.margin=0.1,0.2,0.3")

    assert found == [
        "loss=ce",
        "loss.weight=2 loss=wce",
        "loss.weight=4 loss=wce",
        "loss.margin=0.1 loss=camri",
        "loss.margin=0.2 loss=camri",
        "loss.margin=0.3 loss=camri",
    ]


@pytest.mark.parametrize(
    ("arguments", "margins"),
    [
        ([], ["3", "4"]),
        (["loss.margin=5"], ["5"]),
        (["loss.margin=5", "++sweep.only.camri.loss.margin=6,7"], ["6", "7"]),
    ],
)
def test_what_is_said_later_or_more_narrowly_wins(arguments: list[str], margins: list[str]) -> None:
    params, only = {"loss": "ce,camri", "loss.margin": "1,2"}, {"camri": {"loss.margin": [3, 4]}}
    found = [job for job in jobs(*arguments, params=params, only=only) if "loss=camri" in job]

    assert [job.split("margin=")[1].split()[0] for job in found] == margins


def test_nested_and_dotted_keys_lists_and_nulls() -> None:
    only = {"camri": {"loss": {"margin": [[0.1, 0.2], 0.3]}, "important_class": [None]}, "elsewhere": {"loss.x": 1}}

    assert jobs(only=only, params={"important_class": "worst1,median"}) == [
        "important_class=null loss.margin=[0.1,0.2] loss=camri",
        "important_class=null loss.margin=0.3 loss=camri",
    ]


def test_no_job_twice() -> None:
    assert jobs("loss=ce,ce", "seed=0,0,1") == ["loss=ce seed=0", "loss=ce seed=1"]


def test_sweeps_of_one_name_that_start_at_once_plan_all_their_jobs(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: add_to_plan(tmp_path, ["shared", f"own{name}"]), range(40)))

    plan = json.loads((tmp_path / "jobs.json").read_text())
    assert sorted(plan) == sorted({"shared", *(f"own{name}" for name in range(40))})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["loss=ce,camri", "loss.marign=0.1"], "none of ce, camri has that key. Did you mean 'loss.margin'"),
        (["loss=ce", "sweep.only.camri.loss.margin=0.1"], "this sweep has ce"),
        (["loss.margin=interval(0,1)"], "hydra/sweeper=optuna"),
    ],
)
def test_a_slip_is_one_line(arguments: list[str], words: str) -> None:
    with pytest.raises(UserError) as error:
        jobs(*arguments)
    assert words in str(error.value)
