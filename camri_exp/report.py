"""``python -m camri_exp.report``: from the runs of sweeps to tables, figures, ``report.html`` and a decision."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from camri_exp.cli import command
from camri_exp.errors import UserError


@command("report", paths=("sweep", "output"))
def main(cfg: DictConfig) -> None:
    """Write the report of ``cfg.sweep`` and print its table and conclusions."""
    from camri_exp.reporting.write import write

    if OmegaConf.is_missing(cfg, "sweep"):
        raise UserError("which sweep? Give its folder, or several with commas between: sweep=logs/sweeps/NAME")
    sweeps = folders(str(cfg.sweep))
    output = Path(cfg.output) if cfg.output else sweeps[0] / "report"
    print(write(sweeps, output, cfg.baseline, float(cfg.tolerance), cfg.protocol, dict(cfg.names)))


def folders(text: str) -> list[Path]:
    """The folders in ``a,b``; a folder whose own name has commas is itself."""
    return [Path(text)] if Path(text).is_dir() else [Path(part) for part in text.split(",") if part]


if __name__ == "__main__":
    main()
