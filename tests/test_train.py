"""The command ``python -m camri_exp.train``."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import TINY_CONFIGS, Command
from tests.helpers.results import result_of


def test_the_next_commands_work_as_they_are_printed(train: Command, command: Command, tmp_path: Path) -> None:
    told = train("seed=3", "important_class=blue", "loss=camri", "loss.margin=0.3").out
    evaluate, sweep = [shlex.split(line.partition("python -m ")[2]) for line in told.splitlines()[-2:]]
    assert evaluate[0] == "camri_exp.evaluate"
    assert command("evaluate", *evaluate[1:]).code == 0
    assert sweep[:2] == ["camri_exp.train", "-m"]
    here = (TINY_CONFIGS, "sweep.name=next")
    assert command("train", *sweep[1:], *here).code == 0
    results = [json.loads(path.read_text()) for path in Path("logs/sweeps/next").glob("*/result.json")]
    assert sorted((result["loss"], result["seed"]) for result in results) == [
        (loss, seed) for loss in ("camri", "ce") for seed in (0, 1, 2)
    ]
    assert {result["data"] for result in results} == {"tiny"}
    assert {name for result in results for name in result["important_class_names"]} == {"blue"}


@pytest.mark.realdata
def test_gtsrb_trains_on_the_official_test_images(train: Command, tmp_path: Path) -> None:
    finished = train("experiment=gtsrb_cpu", "important_class=14", data="gtsrb")
    assert finished.code == 0, finished.err
    result = result_of(tmp_path / "run")
    assert result["important_class_names"] == ["Stop"]
    with np.load(tmp_path / "run" / "predictions.npz") as arrays:
        assert arrays["test_scores"].shape == (12_630, 43)
    assert result["test"]["accuracy"] > 0.6  # one epoch of a small network; chance is 0.06
