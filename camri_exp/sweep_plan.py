"""``jobs.json``: the jobs that a sweep has planned, in the order in which they start."""

import json
from collections.abc import Sequence
from pathlib import Path

from camri_exp.errors import UserError, first_line
from camri_exp.files import TEMPORARY, atomic_write, locked

PLAN = "jobs.json"


def read_plan(folder: Path) -> list[str]:
    """The names of the jobs that the sweep in ``folder`` has planned, from ``jobs.json``; none where there is no plan.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / PLAN
    if not path.is_file():
        return []
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: {first_line(error)}. Remove it; the sweep writes it again.") from error
    if not isinstance(names, list) or not all(isinstance(name, str) and name == Path(name).name for name in names):
        raise UserError(f"{path} is damaged: expected a list of folder names. Remove it; the sweep writes it again.")
    return names


def add_to_plan(folder: Path, names: Sequence[str]) -> None:
    """Add jobs to the plan. Two sweeps of one name may start at the same time, and be killed at any time.

    Raises:
        UserError: the plan is damaged, or the folder cannot be written.
    """
    with locked(folder / ".plan", "Give another folder: hydra.sweep.dir=DIR"):
        for path in folder.glob(f"{TEMPORARY}*"):  # of a killed start; this one holds the lock
            path.unlink(missing_ok=True)
        planned = dict.fromkeys([*read_plan(folder), *names])
        with atomic_write(folder / PLAN) as file:
            json.dump(list(planned), file, indent=0)
