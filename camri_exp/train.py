"""``python -m camri_exp.train``: train, test the chosen checkpoint, and leave all that a report needs on disk."""

from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from camri_exp.cli import command

if TYPE_CHECKING:
    from camri_exp.results import RunResult


@command("train", paths=("resume", "ranking_sweep"), free=("sweep.only.",))
def main(cfg: DictConfig) -> tuple[float, float] | None:
    """Train one run, or one job of a sweep, which returns validation accuracy and recall to the sweeper."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        from camri_exp.sweeps import job

        return job.run(cfg, _train)
    from camri_exp.reporting.ranking import resolve_ranks

    resolve_ranks(cfg)
    _train(cfg)
    return None


def _train(cfg: DictConfig) -> "RunResult":
    from camri_exp.training.run import train  # imports of seconds, which a sweep with nothing to do does not need

    return train(cfg)


if __name__ == "__main__":
    main()
