"""``python -m camri_exp.report``: from the runs of sweeps to tables, figures, ``report.html`` and a decision."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from camri_exp.cli import command


@command("report")
def report(cfg: DictConfig) -> None:
    """Write the report of ``cfg.sweep`` and print its table and conclusions."""
    from camri_exp.sweeps.report import write

    sweeps = folders(str(cfg.sweep))
    output = Path(cfg.output) if cfg.output else sweeps[0] / "report"
    print(write(sweeps, output, cfg.baseline, float(cfg.tolerance), cfg.protocol, dict(cfg.names)))


def folders(text: str) -> list[Path]:
    """The folders in ``a,b``; a folder whose own name has commas is itself."""
    return [Path(text)] if Path(text).is_dir() else [Path(part) for part in text.split(",") if part]


def quoted(arguments: Sequence[str]) -> list[str]:
    """Hydra would take the comma in ``sweep=a,b`` for a multirun, and stumble over an equals sign in a path."""
    return [_quoted(*text.partition("=")) for text in arguments]


def _quoted(key: str, equals: str, value: str) -> str:
    bare = key in ("sweep", "output") and value and value[0] not in "\"'["
    return key + equals + (json.dumps(value) if bare else value)


def main() -> None:
    sys.argv[1:] = quoted(sys.argv[1:])
    report()


if __name__ == "__main__":
    main()
