"""Which jobs a stack leaves to a run of their own."""

from pathlib import Path

import pytest

from camri_exp.sweeps.stackable import PlannedJob, obstacle
from tests.helpers.configs import composed


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["loss=camri", "loss.start=0.5"], "loss.start"),
        (["loss=ce", "loss.partial_auc={weight:0.1}"], "loss.partial_auc"),
        (["loss=recall_target"], "loss.held_out"),
        (["loss=mse_outlying", "loss.decoder=nearest"], "loss.decoder=nearest"),
        (["loss=mse_outlying"], None),
        (["loss=camri", "loss.other_margin=0.2"], None),
    ],
    ids=str,
)
def test_a_loss_that_changes_during_training_is_trained_alone(
    tmp_path: Path, overrides: list[str], reason: str | None
) -> None:
    cfg = composed("train", "logger=none", "model.frozen=true", "model.pretrained=true", *overrides)
    for callback in ("best", "last"):
        cfg.callbacks[callback].dirpath = str(tmp_path)
    cfg.callbacks.metrics_csv.run_dir = str(tmp_path)
    assert obstacle(PlannedJob(0, cfg, cfg, cfg, tmp_path)) == reason
