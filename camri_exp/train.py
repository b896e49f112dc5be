"""``python -m camri_exp.train``: train, test the chosen checkpoint, and leave all that a report needs on disk."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from camri_exp.cli import check_config, command
from camri_exp.errors import UserError
from camri_exp.files import claimed, display_path

if TYPE_CHECKING:
    from camri_exp.results import RunResult


@command("train", paths=("resume", "trust", "ranking_sweep"), free=("sweep.only.",), is_job=True)
def main(cfg: DictConfig) -> tuple[float, float] | float | None:
    """Train one run, or one job of a sweep, which returns to the sweeper what a search maximises."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        from camri_exp.sweeps import job

        return job.run(cfg, _checked_train)
    from camri_exp.reporting.ranking import resolve_ranks

    resolve_ranks(cfg)
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    if int(os.environ.get("LOCAL_RANK", 0)):  # a further process of DDP: the first one has claimed the folder
        _train(cfg)
        return None
    with claimed(run_dir, "Give another folder: hydra.run.dir=DIR") as other:
        if other is not None:
            raise UserError(f"{display_path(run_dir)} is being trained by {other}. Wait for it, or stop it first.")
        _train(cfg)
    return None


def _checked_train(cfg: DictConfig) -> "RunResult":
    check_config(cfg, "train")
    return _train(cfg)


def _train(cfg: DictConfig) -> "RunResult":
    from camri_exp.training.run import train  # imports of seconds, which a sweep with nothing to do does not need

    return train(cfg)


if __name__ == "__main__":
    main()
