"""Build the W&B dashboard: a saved workspace and a report of recall against accuracy. A second call updates both.

python scripts/dashboard.py entity=ME project=camri_exp
python scripts/dashboard.py entity=ME project=camri_exp data=gtsrb important_class=Stop baseline=ce
python scripts/dashboard.py entity=ME project=camri_exp dry_run=dashboard.json      (no account, no network)

Needs wandb-workspaces: pip install "camri_exp[dashboard]".
"""

import sys
from pathlib import Path
from typing import Any

from camri_exp.cli import fail
from camri_exp.errors import UserError, nearest
from camri_exp.results import write_json

KEYS = ("entity", "project", "baseline", "data", "important_class", "loss", "dry_run")


def main() -> None:
    given = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    if len(given) < len(sys.argv) - 1 or not {"entity", "project"} <= set(given):
        print(__doc__)
        sys.exit(1)
    for key in given:
        if key not in KEYS:
            fail(f"{key} is not known.{nearest(key, KEYS)} Expected {', '.join(KEYS)}.")
    try:
        from camri_exp.tracking import dashboard
    except ImportError as error:
        fail(f'{error}. Run: pip install "camri_exp[dashboard]"')
    from camri_exp.tracking.session import failures, first_line
    from camri_exp.tracking.sync import check_service

    try:
        if "dry_run" not in given:
            check_service()
        build(given, dashboard)
    except UserError as error:
        fail(error)
    except (*failures(), ValueError) as error:  # ValueError: wandb-workspaces, of a project that it cannot see
        fail(f"W&B: {first_line(error)}")


def build(given: dict[str, str], dashboard: Any) -> None:
    entity, project, name = given["entity"], given["project"], given.get("baseline", "ce")
    chosen = {key: given[key] for key in ("data", "important_class", "loss") if key in given}
    dry = "dry_run" in given
    baseline, losses = (
        (dashboard.Baseline(name), [name]) if dry else dashboard.finished_runs(entity, project, name, chosen)
    )
    built = (
        dashboard.workspace(entity, project, baseline, chosen, losses),
        dashboard.report(entity, project, baseline, chosen),
    )
    if dry:
        try:
            write_json(Path(given["dry_run"]), dashboard.dump(*built))
        except OSError as error:
            raise UserError(
                f"dry_run={given['dry_run']} cannot be written: {error.strerror}. Give a file in a folder that exists."
            ) from error
        print(f"written: {given['dry_run']}")
    else:
        print("\n".join(dashboard.save(*built)))


if __name__ == "__main__":
    main()
