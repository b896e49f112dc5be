"""The tries: one interrupted command each, started again until it is finished, and what was wrong afterwards."""

import os
import random
import shutil
import signal
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from camri_exp.files import TEMPORARY
from reliability.process import EPOCHS, Process, Subject, epochs_of, leftovers, results_of, same_numbers

SINGLE, CHECKPOINT, SWEEP = "kill -9, single run", "kill -9 while a checkpoint is written", "kill -9, sweep"
DISK, TERM = "full disk", "SIGTERM"
JOBS = ("loss=ce,camri", "seed=0,1")
STARTS = 6  # of one command: more mean that it is never finished
CHECKPOINTS = 2 * EPOCHS  # about as many are written by a run: best and last
DISK_SIZE = 24 << 20  # bytes: enough for four small runs
FULL = ("no space left on device", "disk may be full", "disk is full")


@dataclass
class Try:
    """The outcome of one try. ``stage`` says what the command was doing when it was interrupted."""

    kind: str
    number: int
    stage: str = ""
    finished_once: bool = False
    same_numbers: bool = False
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Reference:
    """An undisturbed command: its results, and the seconds to its marker and to its end."""

    subject: Subject
    startup: float
    total: float


def subject(folder: Path, is_sweep: bool) -> Subject:
    return Subject(folder, JOBS if is_sweep else ("loss=camri", "seed=0"), is_sweep)


def undisturbed(folder: Path, is_sweep: bool) -> Reference:
    """Run the command without an interruption."""
    folder.mkdir(parents=True, exist_ok=True)
    process = Process(subject(folder / "results", is_sweep), folder, folder / "errors.txt")
    process.wait_until(subject(folder / "results", is_sweep).marker.is_file)
    startup = process.seconds
    if code := process.wait():
        raise RuntimeError(f"the undisturbed command ended with {code}: {process.errors()}")
    return Reference(subject(folder / "results", is_sweep), startup, process.seconds)


class Attempt:
    """One try in the folder ``home``; temporary files go to ``temporary``, which may be another file system."""

    def __init__(self, outcome: Try, reference: Reference, home: Path, temporary: Path, seed: int) -> None:
        self.outcome, self.reference, self.home, self.temporary = outcome, reference, home, temporary
        self.random = random.Random(f"{seed}/{outcome.kind}/{outcome.number}")
        self.subject = subject(home / "disk" / "results", reference.subject.is_sweep)
        self.kept: dict[Path, int] = {}  # results that were there at the last interruption
        (home / "disk").mkdir(parents=True)

    def start(self) -> Process:
        return Process(self.subject, self.temporary, self.home / "errors.txt")

    def problem(self, text: str) -> None:
        self.outcome.problems.append(text)

    def at_random_moment(self, process: Process) -> None:
        """Wait until a random moment, one in five during the start, the others evenly over the work."""
        if self.random.random() < 0.2:
            process.sleep(self.random.uniform(0, self.reference.startup))
            return
        process.wait_until(self.subject.marker.is_file)
        process.sleep(self.random.uniform(0, 0.95 * (self.reference.total - self.reference.startup)))

    def interrupt(self, process: Process, number: signal.Signals) -> int:
        """Send the signal, and note how far the command had come."""
        process.popen.send_signal(number)
        code = process.wait()
        if code == 1:
            self.problem(f"the command failed before it was interrupted: {process.errors()[-300:]}")
        self.outcome.stage = "ended before" if code in (0, 1) else self.subject.stage()
        self.kept = results_of(self.subject)
        return code

    def finish(self) -> None:
        """Give the command again until it is finished, and check the results."""
        for _ in range(STARTS):
            process = self.start()
            if (code := process.wait()) == 0:
                break
            self.problem(f"started again, the command ended with {code}: {process.errors()[-300:]}")
        self.check()

    def check(self) -> None:
        results, reference = results_of(self.subject), self.reference.subject.runs()
        again = [path for path, written in self.kept.items() if results.get(path) != written]
        runs = self.subject.runs()
        complete = len(results) == len(reference) and all(epochs_of(run) == EPOCHS for run in runs)
        self.outcome.finished_once = complete and not again
        self.outcome.same_numbers = complete and all(map(same_numbers, runs, reference))
        if left := leftovers(self.home, self.temporary):
            self.problem(f"temporary files are left: {', '.join(left)}")

    def expect_lines(self, process: Process, code: int, expected: int) -> str:
        """Check the exit code and that no traceback was printed; returns what was printed in lower case."""
        text = process.errors()
        if code != expected:
            self.problem(f"exit code {code} instead of {expected}: {text[-300:]}")
        if "Traceback" in text:
            self.problem(f"a traceback: {text[-600:]}")
        return text.lower()


def killed(attempt: Attempt) -> None:
    """Kill the command at a random moment, or a new one where it had ended before."""
    for _ in range(STARTS):
        process = attempt.start()
        attempt.at_random_moment(process)
        attempt.interrupt(process, signal.SIGKILL)
        if attempt.outcome.stage != "ended before":
            return
        shutil.rmtree(attempt.subject.folder, ignore_errors=True)
        attempt.kept = {}


def killed_in_checkpoint(attempt: Attempt) -> None:
    """Kill the process during the n-th checkpoint, again where the write ended before the kill."""
    checkpoints, earlier = attempt.subject.folder / "checkpoints", attempt.random.randrange(CHECKPOINTS - 2)
    for _ in range(STARTS):
        process = attempt.start()
        for _ in range(earlier):
            process.wait_until(lambda: _is_writing(checkpoints), 0.0005)
            process.wait_until(lambda: not _is_writing(checkpoints), 0.0005)
        process.wait_until(lambda: _is_writing(checkpoints), 0.0002)
        attempt.interrupt(process, signal.SIGKILL)
        if attempt.outcome.stage in ("writing a checkpoint", "ended before"):
            return
        earlier = 0


def _is_writing(folder: Path) -> bool:
    try:
        return any(name.startswith(TEMPORARY) for name in os.listdir(folder))
    except FileNotFoundError:
        return False


def terminated(attempt: Attempt) -> None:
    process = attempt.start()
    attempt.at_random_moment(process)
    code = attempt.interrupt(process, signal.SIGTERM)
    if attempt.outcome.stage == "ended before":
        return
    text = attempt.expect_lines(process, code, 143)
    if attempt.subject.marker.is_file() and "stopped" not in text and not attempt.kept:
        attempt.problem(f"no line says that the command was stopped: {text[-300:]}")


def on_full_disk(attempt: Attempt) -> None:
    """Fill a small disk at a random moment; after the failure make room again."""
    from camri_exp.models.checkpoint import read_checkpoint

    disk = attempt.home / "disk"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", disk], check=True)
    process = attempt.start()
    attempt.at_random_moment(process)
    _fill(disk / "filler", left=attempt.random.choice([0, 4096, 1 << 16, 1 << 20]))
    attempt.outcome.stage = attempt.subject.stage()
    checkpoints = sorted(disk.rglob("last.ckpt"))
    attempt.kept = results_of(attempt.subject)
    code = process.wait()
    if code == 0:
        attempt.outcome.stage = "ended before"
        attempt.kept = results_of(attempt.subject)
    elif not any(words in attempt.expect_lines(process, code, 1) for words in FULL):
        attempt.problem(f"no line says that the disk is full: {process.errors()[-300:]}")
    for path in checkpoints:
        read_checkpoint(path)
    if left := leftovers(disk):
        attempt.problem(f"half files on the full disk: {', '.join(left)}")
    (disk / "filler").unlink()


def _fill(path: Path, left: int) -> None:
    """Fill the file system of ``path`` up to ``left`` bytes; a running process may use the room that it has seen."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
        file.truncate(max(file.tell() - left, 0))


STRIKES = {
    SINGLE: killed,
    CHECKPOINT: killed_in_checkpoint,
    SWEEP: killed,
    DISK: on_full_disk,
    TERM: terminated,
}


def make(outcome: Try, reference: Reference, home: Path, temporary: Path, seed: int) -> Try:
    """Make the try; its folder is kept where something was wrong."""
    shutil.rmtree(home, ignore_errors=True)
    temporary.mkdir(parents=True, exist_ok=True)
    attempt = Attempt(outcome, reference, home, temporary, seed)
    try:
        STRIKES[outcome.kind](attempt)
        attempt.finish()
    except Exception as error:  # a process that hangs, a checkpoint that cannot be read: the table says so
        attempt.problem(f"{type(error).__name__}: {error}")
    finally:
        if os.path.ismount(home / "disk"):
            subprocess.run(["umount", "--lazy", home / "disk"], check=True)
        shutil.rmtree(temporary, ignore_errors=True)
    if outcome.finished_once and outcome.same_numbers and not outcome.problems:
        shutil.rmtree(home)
    return outcome
