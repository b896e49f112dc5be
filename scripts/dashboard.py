"""Build the W&B dashboard: a saved workspace and a report of recall against accuracy. A second call updates both.

python scripts/dashboard.py --entity ME --project camri_exp
python scripts/dashboard.py --entity ME --project camri_exp --data gtsrb --important-class Stop --baseline ce
python scripts/dashboard.py --entity ME --project camri_exp --dry-run dashboard.json      (no account, no network)

Each option may also be given as key=value. Needs wandb-workspaces: pip install 'camri_exp[dashboard]'
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from camri_exp.cli import fail
from camri_exp.errors import UserError, first_line
from camri_exp.files import write_json

FILTERS = ("data", "important_class", "loss")


def main() -> None:
    given = arguments(sys.argv[1:])
    try:
        if given.dry_run is None:
            from camri_exp.tracking.sync import check_service

            check_service()
        build(given)
    except ImportError as error:
        fail(f"{error}. Run: pip install 'camri_exp[dashboard]'")
    except UserError as error:
        fail(error)
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        fail(f"W&B: {first_line(error)}")


def arguments(texts: Sequence[str]) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--entity", required=True, help="W&B user or team")
    parser.add_argument("--project", required=True, help="W&B project")
    parser.add_argument("--baseline", default="ce", help="loss that others are compared with (default: ce)")
    parser.add_argument("--data", help="only runs on this data set")
    parser.add_argument("--important-class", help="only runs with this important class")
    parser.add_argument("--loss", help="only runs with this loss")
    parser.add_argument("--dry-run", type=Path, metavar="FILE", help="write to a JSON file what would be sent")
    return parser.parse_args([option(text) for text in texts])


def option(text: str) -> str:
    """``--important-class=Stop`` for ``important_class=Stop``; other texts as they are."""
    key, equals, value = text.partition("=")
    return f"--{key.replace('_', '-')}={value}" if equals and key.isidentifier() else text


def build(given: argparse.Namespace) -> None:
    from camri_exp.tracking import dashboard

    entity, project = given.entity, given.project
    chosen = {name: value for name in FILTERS if (value := getattr(given, name)) is not None}
    if given.dry_run is None:
        baseline, losses = dashboard.finished_runs(entity, project, given.baseline, chosen)
    else:
        baseline, losses = dashboard.Baseline(given.baseline), [given.baseline]
    workspace = dashboard.workspace(entity, project, baseline, chosen, losses)
    report = dashboard.report(entity, project, baseline, chosen)
    if given.dry_run is None:
        print("\n".join(dashboard.save(workspace, report)))
        return
    try:
        write_json(given.dry_run, dashboard.dump(workspace, report))
    except OSError as error:
        reason = f"--dry-run {given.dry_run} cannot be written: {error.strerror}."
        raise UserError(f"{reason} Give a file in a folder that exists.") from error
    print(f"written: {given.dry_run}")


if __name__ == "__main__":
    main()
