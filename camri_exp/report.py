"""``python -m camri_exp.report``: tables, figures, ``report.html`` and conclusions from the runs of sweeps."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from camri_exp.cli import command
from camri_exp.errors import UserError


@command("report", paths=("sweep", "output"))
def main(cfg: DictConfig) -> None:
    """Write the report on ``cfg.sweep``, and print its table and conclusions."""
    from camri_exp.reporting.promises import Asked
    from camri_exp.reporting.selection import Protocol
    from camri_exp.reporting.write import write

    if OmegaConf.is_missing(cfg, "sweep"):
        raise UserError("sweep is required: a sweep's folder, or several separated by commas: sweep=logs/sweeps/NAME")
    sweeps = folders(str(cfg.sweep))
    output = Path(cfg.output) if cfg.output else sweeps[0] / "report"
    protocol = Protocol(cfg.baseline, float(cfg.tolerance), cfg.protocol, float(cfg.margin), float(cfg.worth))
    asked = None if cfg.recall is None else Asked(cfg.recall, cfg.confidence)
    print(write(sweeps, output, protocol, dict(cfg.names), figures=cfg.figures, asked=asked))


def folders(text: str) -> list[Path]:
    """The folders in ``a,b``; a folder whose name contains commas is a single one."""
    return [Path(text)] if Path(text).is_dir() else [Path(part) for part in text.split(",") if part]


if __name__ == "__main__":
    main()
