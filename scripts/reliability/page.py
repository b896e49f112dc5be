"""docs/reliability.md: what is promised, how it is tested, and the table of the last test."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reliability.tries import CHECKPOINT, DISK, SINGLE, SWEEP, TERM, Try

COLUMNS = ("interruption", "tries", "interrupted", "finished exactly once", "same numbers", "median time")
KINDS = (SINGLE, CHECKPOINT, SWEEP, DISK, TERM)

PAGE = """\
# Reliability

What you can rely on when a command is interrupted, and how that is tested. `scripts/torture.py` writes this page.

## What is promised

- **A file is whole or absent.** Checkpoints, results, tables, figures and exported models are written next to their
  target, synced to the disk and renamed. After `kill -9`, a full disk or a power cut, the earlier file is still there.
- **A run resumes with the same numbers.** `python -m camri_exp.train resume=DIR` continues after the last complete
  epoch. On the same machine, metrics and predictions are those of an undisturbed run, bit for bit.
- **A sweep resumes with the same command.** Finished jobs are skipped, interrupted ones are resumed, and no job is
  trained twice. Several processes can share a sweep, because each job is claimed by one of them.
- **Exit codes are true.** 0: everything is finished. 1: something failed, or a job could not run. 130: Ctrl-C.
  143: SIGTERM. A stopped run prints the command that resumes it.
- **A full disk ends a command in one line that says so.** Make room and give the command again.
- **A damaged file costs one run.** A report names and counts it, and is written from the other runs.
- **Temporary files are removed.** A killed process can leave a `.part-*` file; resuming removes it.

A run that is killed loses the epoch that it was in. The promise on numbers holds for the same machine, the same
versions of packages and the same number of threads; on a GPU it also requires `trainer.deterministic=true`.

## How it is tested

Each try starts `python -m camri_exp.train` on the digits in a process, interrupts it at a random moment, gives the
command again until it is finished, and compares the result with an undisturbed run: `result.json` exists for every run,
no finished run was trained again, `metrics.csv` and the metrics in `result.json` are equal, and the arrays of
`predictions.npz` are equal bit for bit. It also checks that no temporary file is left.

- *{single}* and *{sweep}*: SIGKILL, one in five during the start, the others evenly over the work.
- *{checkpoint}*: SIGKILL as soon as a temporary checkpoint appears. `TMPDIR` is on
  another file system, where Lightning's own writer would leave an empty `last.ckpt`.
- *{disk}*: a small tmpfs is filled at a random moment. The command must end with exit code 1 and a line that says
  that the disk is full, without a traceback, and the earlier checkpoint must load. One in three is a sweep.
- *{term}*: the exit code must be 143, without a traceback. One in three is a sweep.

`tests/test_damaged_files.py` damages the files of a run in several hundred ways, and `tests/test_full_disk.py` fills
the disk under each command.

## The last test

{circumstances}

{table}

{remarks}

To repeat it:

```bash
{command}
```
"""


@dataclass(frozen=True)
class Circumstances:
    """When and on which commit the tries were made, and with which command."""

    date: str
    commit: str
    command: str
    can_mount: bool


def render(outcomes: Sequence[Try], about: Circumstances) -> str:
    """The page."""
    by_kind = {kind: [outcome for outcome in outcomes if outcome.kind == kind] for kind in KINDS}
    rows = [_row(kind, made) for kind, made in by_kind.items() if made]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return PAGE.format(
        single=SINGLE,
        sweep=SWEEP,
        checkpoint=CHECKPOINT,
        disk=DISK,
        term=TERM,
        circumstances=f"{len(outcomes)} tries on {about.date}, at commit {about.commit}.",
        table="\n".join(f"| {' | '.join(cells)} |" for cells in lines),
        remarks="\n".join(_remarks(outcomes, about)),
        command=about.command,
    )


def _row(kind: str, made: Sequence[Try]) -> tuple[str, ...]:
    stages = Counter(outcome.stage for outcome in made).most_common()
    return (
        kind,
        str(len(made)),
        ", ".join(f"{count} {stage or 'unknown'}" for stage, count in stages),
        f"{sum(outcome.finished_once for outcome in made)} of {len(made)}",
        f"{sum(outcome.same_numbers for outcome in made)} of {len(made)}",
        f"{statistics.median(outcome.seconds for outcome in made):.0f} s",
    )


def _remarks(outcomes: Sequence[Try], about: Circumstances) -> list[str]:
    """Everything else that was wrong, in one line per try."""
    wrong = [outcome for outcome in outcomes if outcome.problems]
    lines = ["The time covers the interrupted start and all further ones."]
    if any(outcome.stage == "ended before" for outcome in outcomes):
        lines.append("*Ended before*: the command had finished when the moment came.")
    if not about.can_mount:
        lines.append("Full disks were not tried: that requires the permission to mount a tmpfs.")
    if not wrong:
        return [*lines, "No other check failed: exit codes, messages, checkpoints, temporary files."]
    first = (f"- {outcome.kind}, {outcome.stage}: {outcome.problems[0].splitlines()[0]}" for outcome in wrong)
    return [*lines, f"Tries that failed another check: {len(wrong)}.", "", *first]
