"""Interrupt training commands in every way, start them again, and write the outcome to docs/reliability.md.

python scripts/torture.py --workdir DIR                                     (the whole table; an hour on two idle cores)
python scripts/torture.py --workdir DIR --runs 3 --sweeps 2 --full-disks 2 --sigterm 2 --output PAGE.md   (a short one)

A try is a command ``python -m camri_exp.train`` that is killed, stopped or starved of disk space at a random moment,
and given again until it is finished. The outcomes are kept in DIR/tries.jsonl: the same command makes the tries that
are missing. A full disk is a small tmpfs, for which the user must be allowed to mount; without that, these tries are
skipped.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from reliability import page, tries
from reliability.process import ROOT
from reliability.tries import Reference, Try

SHARED_MEMORY = Path("/dev/shm")


def main() -> int:
    options = parse()
    options.workdir.mkdir(parents=True, exist_ok=True)
    can_mount = mount_is_permitted(options.workdir)
    if not can_mount:
        print("full disks are skipped: no permission to mount a tmpfs", flush=True)
    plan = list(planned(options, can_mount))
    command = f"python scripts/torture.py {shlex.join(arguments(sys.argv[1:]))}".rstrip()
    about = page.Circumstances(time.strftime("%Y-%m-%d"), commit(), command, can_mount)
    done: dict[tuple[str, int], Try] = {}
    for done in make_all(plan, options.workdir, options.seed):  # the page shows the tries so far
        options.output.write_text(page.render([done[key] for key in plan if key in done], about), encoding="utf-8")
    print(f"table: {options.output}")
    return int(any(outcome.problems for outcome in done.values()))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs", type=int, default=30, metavar="N", help="kills of single runs, a third in checkpoints"
    )
    parser.add_argument("--sweeps", type=int, default=30, metavar="N", help="kills of sweeps")
    parser.add_argument("--full-disks", type=int, default=10, metavar="N", help="full disks, a third of them in sweeps")
    parser.add_argument("--sigterm", type=int, default=10, metavar="N", help="SIGTERMs, a third of them to sweeps")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reliability.md", metavar="PAGE")
    parser.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="for runs and outcomes")
    options = parser.parse_args()
    options.workdir = options.workdir.resolve()
    return options


def arguments(given: list[str]) -> list[str]:
    """The arguments as the page shows them: with any folder."""
    folders = [
        Path(value).name if key == "--workdir" else value for key, value in zip(["", *given], given, strict=False)
    ]
    return [value for key, value in zip(["", *given], folders, strict=False) if "--output" not in (key, value)]


def planned(options: argparse.Namespace, can_mount: bool) -> Iterator[tuple[str, int]]:
    """Kind and number of each try, the kinds in turn, so that a table of fewer tries has all of them."""
    in_checkpoints = options.runs // 3
    counts = {
        tries.SINGLE: options.runs - in_checkpoints,
        tries.CHECKPOINT: in_checkpoints,
        tries.SWEEP: options.sweeps,
        tries.DISK: options.full_disks if can_mount else 0,
        tries.TERM: options.sigterm,
    }
    for number in range(max(counts.values())):
        yield from ((kind, number) for kind, count in counts.items() if number < count)


def make_all(plan: list[tuple[str, int]], workdir: Path, seed: int) -> Iterator[dict[tuple[str, int], Try]]:
    """Make the tries that are missing; yields all outcomes so far, those of earlier starts included, after each."""
    record, done = workdir / "tries.jsonl", {}
    if record.is_file():
        known = [Try(**json.loads(line)) for line in record.read_text(encoding="utf-8").splitlines()]
        done = {(outcome.kind, outcome.number): outcome for outcome in known}
        yield done
    for index, key in enumerate(plan, start=1):
        if key in done:
            continue
        kind, number = key
        is_sweep = kind == tries.SWEEP or (kind in (tries.DISK, tries.TERM) and number % 3 == 1)
        undisturbed = reference(workdir / "reference", is_sweep)
        begin, outcome = time.monotonic(), Try(kind, number)
        home = workdir / f"{index:03}"
        with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as temporary:
            tries.make(outcome, undisturbed, home, Path(temporary) / "tmp", seed)
        outcome.seconds = round(time.monotonic() - begin, 1)
        done[key] = outcome
        with open(record, "a", encoding="utf-8") as file:
            file.write(json.dumps(outcome.to_dict()) + "\n")
        problems = "".join(f"\n  {problem}" for problem in outcome.problems)
        verdict = "as undisturbed" if outcome.finished_once and outcome.same_numbers else "NOT as undisturbed"
        print(f"{index}/{len(plan)} {kind}, {outcome.stage}: {verdict}, {outcome.seconds} s{problems}", flush=True)
        yield done


def reference(folder: Path, is_sweep: bool) -> Reference:
    """The undisturbed command, run once per work folder."""
    folder = folder / ("sweep" if is_sweep else "run")
    times = folder / "times.json"
    if not times.is_file():
        made = tries.undisturbed(folder, is_sweep)
        times.write_text(json.dumps([made.startup, made.total]), encoding="utf-8")
    startup, total = json.loads(times.read_text(encoding="utf-8"))
    return Reference(tries.subject(folder / "results", is_sweep), startup, total)


def mount_is_permitted(workdir: Path) -> bool:
    if not hasattr(os, "geteuid") or os.geteuid():
        return False
    with tempfile.TemporaryDirectory(dir=workdir) as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
        if not mounted.returncode:
            subprocess.run(["umount", folder], check=True)
    return not mounted.returncode


def commit() -> str:
    """The commit that was tried, and whether files differed from it."""
    git = ["git", "-C", str(ROOT)]
    number = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "camri_exp"], capture_output=True, text=True).stdout
    return f"{number}{' with local changes' if changed else ''}" if number else "unknown"


if __name__ == "__main__":
    sys.exit(main())
