"""The progress line of a sweep while it runs, and the table of all jobs at its end."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from camri_exp.errors import UserError
from camri_exp.files import is_claimed
from camri_exp.results import FAILURE, JOB, RESULT, FailureRecord, JobRecord
from camri_exp.sweeps.job import read_record, state_of

INTERVAL = 1.0  # seconds
LONGEST_REASON = 160  # characters
FINAL = ("done", "failed", "skipped")


class SweepProgress:
    """Reads the jobs' records below ``folder`` while they run, here, in other processes or on other machines.

    Args:
        folder: the folder of the sweep.
        launch: the id of this start of the sweep, which jobs copy into their records.
        names: the folders of the jobs; None where they are not known in advance (Optuna): then all folders there.
        total: the number of jobs that there will be.
        rerun: ``sweep.rerun``; with ``all`` no job will be skipped.
        status: what the launcher is doing, for the progress line; empty where the jobs say it.
    """

    def __init__(
        self,
        folder: Path,
        launch: str,
        names: Sequence[str] | None,
        total: int,
        rerun: str = "failed",
        status: Callable[[], str] = str,
    ) -> None:
        self.folder, self.launch, self.names, self.total, self.status = folder, launch, names, total, status
        self.begin, self.out = time.monotonic(), sys.stderr
        # Most of these will be skipped at once, so that the estimate counts the others only.
        self.expected = {name for name in names or () if rerun != "all" and (folder / name / RESULT).is_file()}
        self.records: dict[str, JobRecord] = {}  # with the state that the job has in this start of the sweep
        self.shown = ""
        self.stopped = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> "SweepProgress":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stopped = kind is not None
        self._stop.set()
        self._thread.join()
        self.read()
        self._show(self.line(), last=True)
        print(self.table(), file=self.out)
        if kind is not None:
            print("The sweep was stopped; the same command runs what is missing.", file=self.out)

    @property
    def failed(self) -> bool:
        """Whether a job failed."""
        return any(record.state == "failed" for record in self.records.values())

    @property
    def lost(self) -> list[str]:
        """The jobs that could not run, at the end of the sweep: their folder cannot be written, or they were killed."""
        return [name for name in self.names or () if self._state(name) not in FINAL and not self._is_elsewhere(name)]

    def _is_elsewhere(self, name: str) -> bool:
        """Whether another process runs the job, or has run it: two sweeps of one name share their jobs."""
        folder = self.folder / name
        return is_claimed(folder) or any((folder / file).is_file() for file in (RESULT, FAILURE))

    def read(self) -> None:
        """Read the records that this start of the sweep has written since the last call."""
        for name in (
            self.names if self.names is not None else [path.parent.name for path in self.folder.glob(f"*/{JOB}")]
        ):
            if self._state(name) not in FINAL:
                record = read_record(self.folder / name)
                if record is not None and (state := state_of(record, self.launch)) is not None:
                    self.records[name] = replace(record, state=state)

    def _state(self, name: str) -> str | None:
        record = self.records.get(name)
        return None if record is None else record.state

    def line(self) -> str:
        counts = Counter(record.state for record in self.records.values())
        left = self.total - sum(counts[state] for state in FINAL)
        words = [f"{counts[state]} {state}" for state in FINAL] + [f"{left} left"]
        worked = counts["done"] + counts["failed"]
        expected = sum(self._state(name) not in FINAL for name in self.expected)
        if status := self.status():
            words.append(status)
        elif worked and left:
            words.append(f"about {span((time.monotonic() - self.begin) / worked * max(left - expected, 0))} to go")
        return "sweep: " + ", ".join(words)

    def table(self) -> str:
        """The table: one line per job."""
        names = list(self.names) if self.names is not None else sorted(self.records)
        lines = [f"{'state':<12}{'seconds':>9}  job in {self.folder}"]
        for name in names:
            record = self.records.get(name)
            if record is None:  # a job of another process, of a stopped sweep, or lost
                elsewhere = self.stopped or self._is_elsewhere(name)
                record = JobRecord(state="not run here" if elsewhere else "could not run")
            state = "interrupted" if record.state == "running" else record.state
            seconds = f"{record.seconds:.1f}" if record.seconds is not None and state != "skipped" else ""
            tries = f" (attempt {record.attempt})" if record.attempt > 1 and state != "skipped" else ""
            lines.append(f"{state:<12}{seconds:>9}  {name}{tries}{self._reason(name) if state == 'failed' else ''}")
        if self.failed:
            lines.append("The traceback of a failed job is in its own run.log.")
        return "\n".join(lines)

    def _reason(self, name: str) -> str:
        try:
            error = FailureRecord.read(self.folder / name / FAILURE).error
        except UserError:
            return ""
        return f": {error.splitlines()[0][:LONGEST_REASON]}" if error else ""

    def _loop(self) -> None:
        while not self._stop.wait(INTERVAL):
            self.read()
            self._show(self.line())

    def _show(self, line: str, last: bool = False) -> None:
        """Replace the last line on a terminal; in a log print only what is new, not each new estimate."""
        known = line.split(", about")[0]
        if self.out.isatty():
            print(f"\r\033[K{line}", end="\n" if last else "", file=self.out, flush=True)
        elif known != self.shown:
            print(line, file=self.out, flush=True)
        self.shown = known


def span(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
