"""What a screen prints: the weakest class, the best settings, and commands that can be copied."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from camri_exp.cli import register_resolvers
from camri_exp.reporting.runs import Run
from camri_exp.results import SplitMetrics
from camri_exp.sweeps.grid import expand
from camri_exp.sweeps.screen import _kept, grid, weakest


def run_with(folder: Path, recalls: dict[str, float], counts: list[int]) -> Run:
    """A run of cross-entropy with these recalls on validation."""
    metrics = SplitMetrics(0.5, 0.5, 0.5, 0.5, recalls)
    folder.mkdir()
    np.savez(folder / "predictions.npz", val_target=np.repeat(np.arange(len(counts)), counts))
    both = {"val": metrics, "test": metrics}
    return Run(folder, "folder", "resnet18", "ce", 0, (0,), tuple(recalls), "a", True, {}, (), both, 1.0)


def test_classes_are_listed_from_the_lowest_recall_with_the_command_for_it(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {"a": 0.9, "my class": 0.4, "c": 0.7}, [10, 20, 10])
    given = ["experiment=screen", "data.root=my pictures", "sweep.name=old"]
    lines = weakest([run], given, "ce").splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["my", "c", "a"]
    assert "0.400 (0.219 to 0.613), n = 20" in lines[1]  # Wilson's interval of 8 in 20
    command = "-m experiment=screen 'data.root=my pictures' 'important_class=my class'"
    assert lines[-1] == f"  python -m camri_exp.train {command}"


def test_runs_of_other_losses_in_the_folder_do_not_count(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", {"a": 0.9, "b": 0.4}, [10, 10])
    other = replace(run_with(tmp_path / "other", {"a": 0.1, "b": 1.0}, [10, 10]), loss="camri")
    lines = weakest([run, other], [], "ce").splitlines()
    assert "mean of 1 runs with ce" in lines[0]
    assert lines[1].split()[:2] == ["b", "0.400"]


def test_a_class_without_validation_images_is_last(tmp_path: Path) -> None:
    lines = weakest([run_with(tmp_path / "run", {"a": 0.9, "b": float("nan")}, [10, 0])], [], "ce").splitlines()
    assert lines[2].split(maxsplit=1) == ["b", "no image, n = 0"]
    assert lines[-1].endswith("important_class=a")


def test_one_sweep_has_all_settings_of_a_proof() -> None:
    settings = [
        ["loss=ce"],
        ["loss=camri", "loss.margin=0.1", "loss.scale=16"],
        ["loss=wce", "loss.weight=4"],
        ["loss=camri", "loss.margin=0.4", "loss.scale=16"],
    ]
    keys = {"ce": ["label_smoothing"], "camri": ["margin", "scale"], "wce": ["weight"]}
    jobs = expand({}, {}, grid(settings), "camri", keys.__getitem__)
    assert {frozenset(job) for job in jobs} == set(map(frozenset, settings))


def test_overrides_that_are_replaced_are_left_out_and_others_kept() -> None:
    given = ["model.frozen=true", "++loss.margin=0.1", "loss=ce", "model=resnet18", "hydra/launcher=basic", "losses=1"]
    assert _kept(given, ("model.frozen", "loss", "hydra")) == ["model=resnet18", "losses=1"]


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(None, None, "no"), (0, None, "yes"), (None, "a", "yes"), (1, 2, "yes")]
)
def test_the_losses_of_a_screen_depend_on_whether_a_class_is_given(
    first: object, second: object, expected: str
) -> None:

    register_resolvers()
    cfg = OmegaConf.create({"a": first, "b": second, "c": "${camri.if_given:${a},${b},yes,no}"})
    assert cfg.c == expected
