"""``python -m camri_exp.train``: train, test the chosen checkpoint, and leave all that a report needs on disk."""

from typing import Any

from omegaconf import DictConfig

from camri_exp.cli import command


@command("train", paths=("resume",), free=("sweep.only.",))
def main(cfg: DictConfig) -> tuple[float, float] | None:
    """Train one run, or one job of a sweep; returns validation accuracy and important-class recall, for sweepers."""
    from camri_exp.sweeps import job

    return job.run(cfg, _train)


def _train(cfg: DictConfig) -> dict[str, Any]:
    from camri_exp.run import train  # seconds of imports, which a sweep with nothing to do can spare

    return train(cfg)


if __name__ == "__main__":
    main()
