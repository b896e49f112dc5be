"""Reproduce the comparison of the CAMRI paper: cross-entropy, the ranking of the classes, all losses, the report.

python scripts/reproduce.py --dataset digits --budget cpu              (minutes; no download)
python scripts/reproduce.py --dataset gtsrb --budget cpu               (prints the number of runs and the time first)
python scripts/reproduce.py --dataset cifar10 --budget gpu             (several runs share the GPU; extra: ray)
python scripts/reproduce.py --dataset cifar10 --budget paper           (the exact settings of the paper: 300 epochs)
python scripts/reproduce.py --dataset gtsrb --budget cpu --dry-run     (prints the plan only)
python scripts/reproduce.py --dataset gtsrb --budget cpu --seeds 3     (fewer seeds; the others can follow later)
python scripts/reproduce.py --dataset gtsrb --budget cpu --kept        (trains only what docs/results lacks)
python scripts/reproduce.py --dataset gtsrb --budget cpu --no-train    (reports and archives the finished runs)
python scripts/reproduce.py --page                                     (rebuilds docs/results.md from docs/results)

The same command resumes an interrupted study. Images are read from $CAMRI_DATA or --data-root. The finished runs of a
study are archived in docs/results/<study>. Options can be given as key=value too: dataset=gtsrb budget=cpu dry_run=true
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from reproduction import archive, page
from reproduction.plan import STUDIES, planned, table

from camri_exp.cli import fail
from camri_exp.errors import UserError, nearest

ROOT = Path(__file__).resolve().parents[1]
SWEEPS = Path("logs") / "sweeps"
RESULTS = ROOT / "docs" / "results"
FLAGS = {"dry_run=true": ["--dry-run"], "kept=true": ["--kept"], "page=true": ["--page"], "train=false": ["--no-train"]}
DEFAULTS = {"dry_run=false", "kept=false", "page=false", "train=true"}


def main() -> None:
    options = parsed(sys.argv[1:])
    try:
        if options.dataset:
            reproduce(f"{options.dataset}_{options.budget}", options)
        if not options.dry_run:
            page.write(RESULTS, ROOT / "docs" / "results.md")
    except UserError as error:
        fail(error)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        fail(f"{message}. See --help.")


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--dataset", help="the data set of the study")
    parser.add_argument("--budget", help="cpu, gpu or paper")
    parser.add_argument("--seeds", type=int, metavar="N", help="train seeds 0 to N - 1 only")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes that share the runs (default: one per core)"
    )
    parser.add_argument("--data-root", metavar="DIR", help="the folder of the data sets (default: $CAMRI_DATA)")
    parser.add_argument("--dry-run", action="store_true", help="print the plan only")
    parser.add_argument("--kept", action="store_true", help="archived runs count as finished")
    parser.add_argument("--no-train", action="store_true", help="report and archive the finished runs")
    parser.add_argument("--page", action="store_true", help="rebuild docs/results.md")
    options, unknown = parser.parse_known_args([item for argument in arguments for item in as_options(argument)])
    if unknown:
        known = [f"--{name.replace('_', '-')}" for name in vars(options)]
        name = unknown[0].partition("=")[0]
        fail(f"{name} is not known.{nearest(name, known)} Expected {', '.join(known)}.")
    if bool(options.dataset) != bool(options.budget) or not (options.dataset or options.page):
        parser.error("expected --dataset and --budget, or --page")
    return options


def as_options(argument: str) -> list[str]:
    """``dataset=gtsrb`` and ``dry_run=true`` as ``--dataset=gtsrb`` and ``--dry-run``; options as they are."""
    if argument.startswith("-") or "=" not in argument:
        return [argument]
    key, _, value = argument.partition("=")
    return [] if argument in DEFAULTS else FLAGS.get(argument, [f"--{key.replace('.', '-')}={value}"])


def reproduce(name: str, options: argparse.Namespace) -> None:
    """Run the sweeps and the report of one study, and archive its runs.

    Raises:
        UserError: no study of this name, or one of the commands failed.
    """
    if name not in STUDIES:
        raise UserError(f"no study {name}.{nearest(name, STUDIES)} Expected {', '.join(STUDIES)}.")
    if options.data_root:
        os.environ["CAMRI_DATA"] = options.data_root  # not an override: the folder is not part of a configuration
    study, folder = STUDIES[name], SWEEPS / name
    ranking = SWEEPS / f"{name}_ranking" if study.ranking else None
    workers = (options.workers or os.cpu_count() or 1) if study.parallel else 1
    first = [*study.overrides, f"sweep.name={name}_ranking", "loss=ce", f"seed={study.ranking}"]
    whole = [*study.overrides, f"sweep.name={name}"]
    if ranking:
        whole += [f"ranking_sweep={ranking}", "sweep.ranked_on=test"]
    chosen = [*whole, *([f"seed=range({options.seeds})"] if options.seeds else [])]
    ranking_jobs = planned(first, ranking) if ranking else {}
    jobs = planned(whole, folder)
    chosen_jobs = planned(chosen, folder) if options.seeds else jobs
    with archive.unpacked(RESULTS / name) as archived:
        print(table(name, ranking_jobs | chosen_jobs, archived, workers, options.kept), flush=True)
        if options.dry_run:
            return
        if options.kept:
            archive.restore(archived / archive.RANKING, ranking_jobs)
            archive.restore(archived / archive.RUNS, jobs)
    if not options.no_train:
        for overrides in ([first] if ranking else []) + [chosen]:
            sweep(overrides, workers)
    command("report", f"sweep={folder}")
    archive.archive_study(name, RESULTS / name, folder, jobs, ranking, ranking_jobs)


def sweep(overrides: list[str], workers: int) -> None:
    """Run a sweep in several processes, which share its jobs; the first one shows the progress.

    Raises:
        UserError: a run failed.
    """
    arguments = [sys.executable, "-m", "camri_exp.train", "-m", *overrides]
    threads = {"OMP_NUM_THREADS": str(max((os.cpu_count() or 1) // workers, 1))} if workers > 1 else {}
    processes = [
        subprocess.Popen(arguments, env=os.environ | threads, stderr=None if first else subprocess.DEVNULL)
        for first in [True] + [False] * (workers - 1)
    ]
    try:
        codes = [process.wait() for process in processes]
    except KeyboardInterrupt:
        for process in processes:
            process.wait()
        sys.exit(130)
    if any(codes):
        raise UserError("some runs failed; run.log in their folders says why. The same command tries them again.")


def command(name: str, *arguments: str) -> None:
    if subprocess.run([sys.executable, "-m", f"camri_exp.{name}", *arguments]).returncode:
        raise UserError(f"camri_exp.{name} failed")


if __name__ == "__main__":
    main()
