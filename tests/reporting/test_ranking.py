"""important_class=worst1, worst2, median: read from the validation recall of a finished sweep."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from camri_exp.cli import CONFIGS
from camri_exp.errors import UserError
from camri_exp.reporting.ranking import resolve_ranks
from tests.helpers.generated_runs import write_run
from tests.helpers.results import result_of

CLASSES = ["a", "b", "c", "d", "e"]
RECALLS = {0: [0.9, 0.2, 0.5, 0.8, 0.7], 1: [0.5, 0.4, 0.5, 0.8, 0.9]}  # means: .7 .3 .5 .8 .8


@pytest.fixture
def ranking_sweep(tmp_path: Path) -> Path:
    for seed, recalls in RECALLS.items():
        folder = write_run(tmp_path / f"ce-{seed}", "ce", seed, classes=CLASSES, images=30)
        result = result_of(folder)
        result["val"]["recall"] = dict(zip(CLASSES, recalls, strict=True))
        (folder / "result.json").write_text(json.dumps(result))
    return tmp_path


def resolved(
    ranking_sweep: Path | None, important: Any, data: str = "toy", loss: str = "ce", split: str = "val"
) -> Any:
    cfg = OmegaConf.create(
        {
            "important_class": important,
            "ranking_sweep": None if ranking_sweep is None else str(ranking_sweep),
            "data": {"name": data},
            "sweep": {"ranked_by": loss, "ranked_on": split},
        }
    )
    resolve_ranks(cfg)
    return OmegaConf.to_container(cfg)["important_class"]  # type: ignore[call-overload, index]


@pytest.mark.parametrize(
    ("important", "ids"),
    [("worst1", 1), ("worst2", 2), ("median", 0), ("worst5", 4), (["worst1", "d", 4], [1, "d", 4]), ("b", "b"), (3, 3)],
)
def test_ranks_are_by_mean_recall(ranking_sweep: Path, important: Any, ids: Any) -> None:
    assert resolved(ranking_sweep, important) == ids


def test_the_papers_ranking_is_by_test(ranking_sweep: Path) -> None:
    for seed in RECALLS:
        path = ranking_sweep / f"ce-{seed}" / "result.json"
        result = json.loads(path.read_text())
        result["test"]["recall"] = dict(zip(CLASSES, [0.9, 0.8, 0.7, 0.1, 0.6], strict=True))
        path.write_text(json.dumps(result))
    assert resolved(ranking_sweep, "worst1", split="test") == 3
    assert resolved(ranking_sweep, "worst1") == 1


def test_without_a_rank_the_ranking_sweep_is_not_read() -> None:
    assert resolved(Path("nowhere"), "Stop") == "Stop"
    assert resolved(None, None) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"important": "worst6"}, "toy has 5 classes"),
        ({"important": "worst1", "data": "gtsrb"}, "it has no runs on gtsrb"),
        ({"important": "worst1", "loss": "wce"}, "it has ce"),
        ({"important": "worst1", "split": "train"}, "sweep.ranked_on=train: .* val or test"),
    ],
)
def test_sweep_that_cannot_rank_is_an_error(ranking_sweep: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        resolved(ranking_sweep, **arguments)


def test_rank_without_ranking_sweep_is_an_error() -> None:
    with pytest.raises(UserError, match="ranking_sweep=DIR"):
        resolved(None, "worst1")


def test_a_run_that_ranks_and_is_compared_is_warned_of(ranking_sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ranking by the runs that are compared makes an equal loss gain up to five percentage points."""
    cfg = {
        "ranking_sweep": str(ranking_sweep),
        "data": {"name": "toy"},
        "sweep": {"ranked_by": "ce", "ranked_on": "val"},
    }
    for seed in (10, 1, 1):
        resolve_ranks(OmegaConf.create({**cfg, "important_class": "worst1", "seed": seed}))
    assert capsys.readouterr().err.count("has runs of this seed") == 1


PRESETS = sorted(path for path in (CONFIGS / "experiment").glob("*_table1.yaml") if "ranking_sweep" in path.read_text())


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_rank_by_other_seeds_than_they_compare(path: Path) -> None:
    commands = [line for line in path.read_text().splitlines() if line.startswith("#   python -m camri_exp.train")]
    first = int(re.search(r"loss=ce 'seed=range\((\d+),\d+\)'", commands[0])[1])  # type: ignore[index]
    compared = int(re.search(r"seed: range\((\d+)\)", path.read_text())[1])  # type: ignore[index]
    assert first >= compared
