"""``python -m camri_exp.train``: train, test the chosen checkpoint, and leave all that a report needs on disk."""

from omegaconf import DictConfig

from camri_exp.cli import command


@command("train")
def main(cfg: DictConfig) -> tuple[float, float]:
    """Train one run; returns validation accuracy and important-class recall, for Hydra's sweepers."""
    from camri_exp.run import train

    result = train(cfg)
    return result["val"]["accuracy"], result["val"]["recall_important"]


if __name__ == "__main__":
    main()
