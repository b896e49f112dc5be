"""Reproduce the comparison of the CAMRI paper: cross-entropy, the ranking of classes, all losses, the report.

python scripts/reproduce.py dataset=digits budget=cpu                (minutes; no download)
python scripts/reproduce.py dataset=gtsrb budget=cpu                 (says first how many runs, and about how long)
python scripts/reproduce.py dataset=cifar10 budget=gpu               (several runs share the GPU; extra: ray)
python scripts/reproduce.py dataset=cifar10 budget=paper             (the paper's very settings, once: 300 epochs)
python scripts/reproduce.py dataset=gtsrb budget=cpu dry_run=true    (the plan alone)
python scripts/reproduce.py dataset=gtsrb budget=cpu seeds=3         (fewer seeds; the rest can follow)
python scripts/reproduce.py dataset=gtsrb budget=cpu kept=true       (docs/results counts as done: only what it lacks)
python scripts/reproduce.py dataset=gtsrb budget=cpu train=false     (keep and tell what is finished, train nothing)
python scripts/reproduce.py page=true                                (docs/results.md again, from docs/results alone)

The same command again goes on where it was stopped. Pictures are read from $CAMRI_DATA, or from data.root=DIR. What the
study found is kept in docs/results/<study>; workers=N (default: a process a core, for budget=cpu) shares the runs out.
"""

import os
import subprocess
import sys
from pathlib import Path

from reproduction import keep, page
from reproduction.plan import STUDIES, planned, table

from camri_exp.cli import fail
from camri_exp.errors import UserError, nearest

KEYS = ("dataset", "budget", "seeds", "workers", "data.root", "dry_run", "kept", "train", "page")
ROOT = Path(__file__).resolve().parents[1]
SWEEPS = Path("logs") / "sweeps"
RESULTS = ROOT / "docs" / "results"


def main() -> None:
    given = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    if len(given) < len(sys.argv) - 1 or not ({"dataset", "budget"} <= set(given) or "page" in given):
        print(__doc__)
        sys.exit(1)
    for key in given:
        if key not in KEYS:
            fail(f"{key} is not known.{nearest(key, KEYS)} Expected {', '.join(KEYS)}.")
    try:
        if "dataset" in given:
            reproduce(given)
        if given.get("dry_run") != "true":
            page.write(RESULTS, ROOT / "docs" / "results.md")
    except UserError as error:
        fail(error)


def reproduce(given: dict[str, str]) -> None:
    """The sweeps and the report of one study; raises UserError where one of them fails."""
    name = f"{given['dataset']}_{given['budget']}"
    if name not in STUDIES:
        raise UserError(f"no study {name}.{nearest(name, STUDIES)} There are {', '.join(STUDIES)}.")
    study, folder, ranking = STUDIES[name], SWEEPS / name, SWEEPS / f"{name}_ranking"
    workers = int(given.get("workers", os.cpu_count() or 1)) if study.shared_out else 1
    whole = [*study.overrides, f"sweep.name={name}"]
    if given.get("kept") == "true":
        keep.restore(RESULTS / name, folder)
        keep.restore(RESULTS / ranking.name, ranking)
    first = [*study.overrides, f"sweep.name={ranking.name}", "loss=ce", f"seed={study.ranking}"]
    shared = [*whole, *([f"seed=range({given['seeds']})"] if "seeds" in given else [])]
    jobs = planned(shared, folder) | (planned(first, ranking) if study.ranking else {})
    print(table(name, jobs, RESULTS / name, workers), flush=True)
    if given.get("dry_run") == "true":
        return
    if "data.root" in given:
        os.environ["CAMRI_DATA"] = given["data.root"]  # not an override: where pictures lie is no part of a setting
    if given.get("train") != "false":
        if study.ranking:
            sweep(first, workers)
        sweep([*shared, f"baseline={ranking}", "sweep.ranked_on=test"] if study.ranking else shared, workers)
    command("report", f"sweep={folder}")
    if study.ranking:
        keep.results(ranking, RESULTS / ranking.name, planned(first, ranking))
    keep.keep(folder, RESULTS / name, name, planned(whole, folder), ranking if study.ranking else None)


def sweep(overrides: list[str], workers: int) -> None:
    """The same sweep in some processes, which share its jobs out among themselves; the first one shows its progress."""
    arguments = [sys.executable, "-m", "camri_exp.train", "-m", *overrides]
    threads = {"OMP_NUM_THREADS": str(max((os.cpu_count() or 1) // workers, 1))} if workers > 1 else {}
    started = [
        subprocess.Popen(arguments, env=os.environ | threads, stderr=None if first else subprocess.DEVNULL)
        for first in [True] + [False] * (workers - 1)
    ]
    try:
        codes = [process.wait() for process in started]
    except KeyboardInterrupt:
        for process in started:
            process.wait()
        sys.exit(130)
    if any(codes):
        raise UserError("some runs failed; their run.log says why. The same command tries them again.")


def command(name: str, *arguments: str) -> None:
    if subprocess.run([sys.executable, "-m", f"camri_exp.{name}", *arguments]).returncode:
        raise UserError(f"camri_exp.{name} failed")


if __name__ == "__main__":
    main()
