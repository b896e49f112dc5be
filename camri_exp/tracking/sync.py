"""``python -m camri_exp.tracking.sync logs/train``: upload runs that were offline, one after the other.

Runs that are uploaded are skipped, so that the same command continues after a failure. A run that was resumed while
offline has several parts, which are uploaded in the order in which they were written. ``wandb sync`` does the work.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from camri_exp.cli import fail
from camri_exp.errors import UserError
from camri_exp.files import display_path, locked

# Next to the file of a run: held while a process writes it, and the marker of `wandb sync`.
LOCK, SYNCED = ".wandb.lock", ".wandb.synced"
ENDING = 30  # seconds that W&B's own process may take to notice that its parent ended
STILL_WRITTEN = 60  # seconds: W&B writes system metrics more often than that while a run is active
DAMAGED = re.compile(r"incomplete record|transactionlog")  # in what `wandb sync` prints of a file that it cannot read


def main() -> None:
    """Upload the runs below the given folders; the exit code is 1 if a run could not be uploaded."""
    parser = argparse.ArgumentParser("python -m camri_exp.tracking.sync", description="Upload offline W&B runs.")
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path, help="a run, a sweep, or logs for all runs")
    parser.add_argument("--timeout", type=float, default=600, help="seconds that one run may take (default: 600)")
    given = parser.parse_args([re.sub(r"^timeout=", "--timeout=", text) for text in sys.argv[1:]])
    try:
        left = sync(given.folders, given.timeout)
    except UserError as error:
        fail(error)
    sys.exit(1 if left else 0)


def sync(folders: Iterable[Path], timeout: float) -> int:
    """Upload the runs below ``folders`` and print a line per run; returns how many are left.

    Raises:
        UserError: a folder does not exist, there is no key, or the service does not answer.
    """
    runs, running = pending(folders)
    for name in running:
        print(f"{name}: still running, skipped")
    if not runs:
        print("all other runs are uploaded" if running else "all runs are uploaded")
        return 0
    check_service()
    done = 0
    for number, (name, parts) in enumerate(runs.items(), start=1):
        begin, problem = time.monotonic(), upload(parts, timeout)
        done += problem is None
        took = f"{time.monotonic() - begin:.0f} s"
        print(f"[{number}/{len(runs)}] {name}: {'uploaded' if problem is None else problem} ({took})", flush=True)
    left = len(runs) - done
    print(f"{done} uploaded, {left} left" + ("; the same command continues with them" if left else ""))
    return left


def pending(folders: Iterable[Path]) -> tuple[dict[str, list[Path]], list[str]]:
    """Runs to be uploaded, each with the files of its parts, and the names of runs that are still running."""
    runs: dict[str, list[Path]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: there is no such folder. Give a run, a sweep, or all runs: logs")
        # By the start of each part, which its folder's name holds: run-DATE_TIME-ID, or offline-run-DATE_TIME-ID.
        for file in sorted(files(folder), key=lambda path: path.parent.name.removeprefix("offline-")):
            parts = runs.setdefault(file.stem.removeprefix("run-"), [])
            if file not in parts:
                parts.append(file)
    names = {run: str(display_path(parts[0].parents[2])) for run, parts in runs.items()}  # RUN/wandb/PART/FILE
    count = Counter(names.values())  # a run that was started again in the same folder is another run
    left = {
        names[run] + (f" ({run})" if count[names[run]] > 1 else ""): parts
        for run, parts in runs.items()
        if not all(map(is_uploaded, parts))
    }
    running = [name for name, parts in left.items() if any(map(is_running, parts))]
    return {name: parts for name, parts in left.items() if name not in running}, running


def files(folder: Path) -> Iterator[Path]:
    """Files of W&B runs below ``folder``, which may also be a run's W&B folder; W&B's links are skipped."""
    yield from (path.resolve() for path in folder.rglob("run-*.wandb") if not path.parent.is_symlink())


def is_uploaded(file: Path) -> bool:
    """Whether ``wandb sync`` or an online run has marked ``file`` as uploaded."""
    return file.with_suffix(SYNCED).exists()


def is_running(file: Path) -> bool:
    """Whether the process that writes ``file`` is alive: it holds the lock (``WandbRun.start``)."""
    path = file.with_suffix(LOCK)
    if not path.exists():
        return False
    with locked(path, "W&B runs are marked there as uploaded.", wait=False) as free:
        return not free


def upload(parts: Sequence[Path], timeout: float) -> str | None:
    """Upload one run within ``timeout`` seconds; returns what failed, or None.

    A part whose process was killed may end in the middle of a record, where ``wandb sync`` fails each time. It uploads
    what it can read first; therefore the part is renamed and the other parts are uploaded.
    """
    end = time.monotonic() + timeout
    for part in parts:
        if is_uploaded(part):
            continue
        try:
            finished = _wandb_sync(part, timeout=max(end - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            return f"failed: not finished after {timeout:.0f} s"
        if is_uploaded(part):
            continue
        output = finished.stdout + finished.stderr
        if DAMAGED.search(output) is None:
            lines = [line for line in output.splitlines() if line.strip()]
            return f"failed: {lines[-1].removeprefix('wandb: ') if lines else f'exit code {finished.returncode}'}"
        killed = part.with_suffix(LOCK).exists()  # closing the run would have removed it
        if not killed and time.time() - part.stat().st_mtime < STILL_WRITTEN:
            return "failed: its file ends in the middle and was changed within the last minute; try again later"
        broken = part.rename(part.with_suffix(".wandb.broken"))
        print(f"{display_path(broken)}: set aside; it is damaged, as after a kill. What is readable was uploaded.")
    return None


def check_service() -> None:
    """Report a missing key or a missing service once, instead of once per run.

    Raises:
        UserError: there is no key, or the service does not answer.
    """
    from camri_exp.tracking.session import base_url, connection_problem, has_key

    url = base_url()
    if not has_key(url):
        raise UserError(f"there is no key for {url}. Run `wandb login` once, or set WANDB_API_KEY.")
    if (problem := connection_problem(url)) is not None:
        raise UserError(f"{url} does not answer ({problem}). Nothing was uploaded, nothing is lost.")


def _wandb_sync(file: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run ``wandb sync`` on ``file``.

    ``subprocess.run`` would hang after a timeout: W&B starts a process that holds the pipes until it notices that its
    parent ended.
    """
    command, pipe = [sys.executable, "-m", "wandb", "sync", "--include-online", str(file)], subprocess.PIPE
    environment = {**os.environ, "WANDB_SILENT": "false"}  # what it prints is needed below
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=ENDING)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


if __name__ == "__main__":
    main()
