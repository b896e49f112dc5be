"""Names and tags of W&B runs. The summaries are tested with real runs in ``test_wandb``."""

import pytest

from camri_exp.tracking.base import RunDescription
from camri_exp.tracking.summary import LONGEST_NAME, LONGEST_TAG, run_name, tags

CONFIG = {"data": {"name": "digits"}, "loss": {"name": "camri"}}


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "digits camri"),
        (["data=digits", "loss=camri", "loss.margin=0.2", "seed=1"], "digits camri margin=0.2 seed=1"),
        (["+trainer.fast_dev_run=1", "logger.wandb.project=x", "sweep.name=y"], "digits camri fast_dev_run=1"),
        (["optimizer.lr=1", "scheduler.lr=2"], "digits camri optimizer.lr=1 scheduler.lr=2"),
    ],
)
def test_the_name_lists_the_overrides(overrides: list[str], name: str) -> None:
    assert run_name(RunDescription(CONFIG, overrides, [])) == name


def test_names_and_tags_are_cut_to_the_limits_of_the_service() -> None:
    assert len(run_name(RunDescription(CONFIG, [f"loss.margin={'1' * 500}"], []))) == LONGEST_NAME
    words = tags(RunDescription(CONFIG, [], ["Stop", "digits", "x" * 100]))
    assert words[:3] == ["digits", "camri", "Stop"]
    assert [len(tag) for tag in words[3:]] == [LONGEST_TAG]
