"""The presets as lists of jobs: the paper's losses with their grids, ten seeds, three classes, nothing twice."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.plugins import Plugins

from camri_exp.sweeps.progress import SweepProgress
from tests.conftest import Command
from tests.helpers.generated_runs import write_run

Jobs = list[list[str]]
GRID = {"ce": 1, "focal": 3, "l2_softmax": 2, "arcface": 6, "wce": 3, "crwwce": 3, "mse_outlying": 3, "camri": 6}
CLASS_FREE = {"ce", "focal", "l2_softmax", "arcface"}


@pytest.fixture
def planned(command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Jobs]:
    """The jobs that a sweep would start."""

    def plan(*overrides: object) -> Jobs:
        found: Jobs = []
        launcher = SimpleNamespace(launch=lambda jobs, initial_job_idx: found.extend(map(list, jobs)))
        monkeypatch.setattr(Plugins, "instantiate_launcher", lambda self, **_: launcher)
        monkeypatch.setattr(SweepProgress, "lost", [])  # this launcher runs no job
        finished = command("train", "-m", *overrides)
        assert finished.code == 0, finished.err
        return found

    return plan


def value(job: list[str], key: str) -> str | None:
    return next((item.partition("=")[2] for item in job if item.startswith(f"{key}=")), None)


@pytest.mark.parametrize("data", ["awa2", "cifar10", "gtsrb"])
def test_table1(planned: Callable[..., Jobs], tmp_path: Path, data: str) -> None:
    write_run(tmp_path / "ce" / "run", "ce", 0, data=data, class_free=True)
    jobs = planned(f"experiment={data}_table1", f"ranking_sweep={tmp_path / 'ce'}")
    settings = defaultdict(set)
    for job in jobs:
        settings[value(job, "loss")].add(tuple(item for item in job if not item.startswith(("seed=", "important_"))))

    assert {loss: len(found) for loss, found in settings.items()} == GRID
    assert {value(job, "seed") for job in jobs} == set(map(str, range(10)))
    for job in jobs:
        ranked = {"null"} if value(job, "loss") in CLASS_FREE else {"worst1", "worst2", "median"}
        assert value(job, "important_class") in ranked
    assert len(jobs) == 10 * sum(n * (1 if loss in CLASS_FREE else 3) for loss, n in GRID.items())
    assert len({tuple(sorted(job)) for job in jobs}) == len(jobs)


def test_the_baseline_comes_first_and_needs_no_ranks(planned: Callable[..., Jobs]) -> None:
    jobs = planned("experiment=gtsrb_table1", "loss=ce")

    assert [value(job, "seed") for job in jobs] == list(map(str, range(10)))
    assert {value(job, "loss") for job in jobs} == {"ce"}


def test_ranks_without_a_ranking_sweep_end_the_sweep_before_it_starts(command: Command, tmp_path: Path) -> None:
    finished = command("train", "-m", "experiment=gtsrb_table1", "sweep.name=early")

    assert finished.code == 1
    assert "ranking_sweep=DIR" in finished.err
    assert not list(tmp_path.glob("logs/sweeps/early/*/"))


def test_a_preset_can_be_taken_in_part(planned: Callable[..., Jobs], tmp_path: Path) -> None:
    write_run(tmp_path / "ce" / "run", "ce", 0, data="gtsrb", class_free=True)
    part = ("loss=camri", "seed=0,1", "sweep.only.camri.loss.scale=16", "important_class=worst1")
    jobs = planned("experiment=gtsrb_table1", f"ranking_sweep={tmp_path / 'ce'}", *part)

    assert len(jobs) == 2 * 3
    assert {value(job, "loss.scale") for job in jobs} == {"16"}


def test_digits_quick(planned: Callable[..., Jobs]) -> None:
    assert len(planned("experiment=digits_quick")) == 45
