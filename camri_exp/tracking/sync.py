"""``python -m camri_exp.tracking.sync logs/train``: upload the runs that W&B does not have yet, one after the other.

Only what no earlier upload finished is taken, so that the same command goes on after a failure. A run that was
resumed while offline consists of several parts; they are uploaded together, in the order in which they were written.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from camri_exp.cli import fail
from camri_exp.errors import UserError
from camri_exp.files import display_path

USAGE = "python -m camri_exp.tracking.sync FOLDER... [timeout=600]    (timeout: seconds a run may take)"
ENDING = 30  # seconds that wandb's own process may take to notice that it is alone
STILL_WRITTEN = 60  # seconds: W&B writes system metrics more often than that while a run goes on


def main() -> None:
    """Upload what lies below the given folders; exit code 1 if a run could not be uploaded."""
    folders = [text for text in sys.argv[1:] if not text.startswith("timeout=")]
    limits = [text.partition("=")[2] for text in sys.argv[1:] if text.startswith("timeout=")]
    if not folders or any(text.startswith("-") for text in folders):
        print(USAGE)
        sys.exit(0 if {"-h", "--help"} & set(folders) else 1)
    try:
        failed = sync(map(Path, folders), seconds(limits[-1] if limits else "600"))
    except UserError as error:
        fail(error)
    sys.exit(1 if failed else 0)


def seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"timeout={text}: expected seconds, as in timeout=600.") from None


def sync(folders: Iterable[Path], timeout: float) -> int:
    """Upload, with a line a run; how many are left.

    Raises:
        UserError: a folder does not exist, there is no key, or the service does not answer.
    """
    runs, going_on = pending(folders)
    for name in going_on:
        print(f"{name}: still running (or killed within the last minute), skipped")
    if not runs:
        print("all other runs are uploaded" if going_on else "all runs are uploaded")
        return 0
    check_service()
    done = 0
    for number, (name, parts) in enumerate(runs.items(), start=1):
        begin, problem = time.monotonic(), upload(parts, timeout)
        done += problem is None
        took = f"{time.monotonic() - begin:.0f} s"
        print(f"[{number}/{len(runs)}] {name}: {'uploaded' if problem is None else problem} ({took})", flush=True)
    left = len(runs) - done
    print(f"{done} uploaded, {left} left" + ("; the same command goes on with them" if left else ""))
    return left


def pending(folders: Iterable[Path]) -> tuple[dict[str, list[Path]], list[str]]:
    """The runs that are not up, each with the files of its parts, and the names of those that are still running."""
    runs: dict[str, list[Path]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: there is no such folder. Give a run, a sweep, or all of them: logs")
        for file in sorted((path.resolve() for path in files(folder)), key=_began):
            parts = runs.setdefault(file.stem.removeprefix("run-"), [])
            if file not in parts:
                parts.append(file)
    place = {run: _name(parts[0]) for run, parts in runs.items()}
    several = Counter(place.values())  # a run that was started anew in the same folder is another run
    left = {run: parts for run, parts in runs.items() if not all(map(is_uploaded, parts))}
    named = {place[run] + (f" ({run})" if several[place[run]] > 1 else ""): parts for run, parts in left.items()}
    going_on = [name for name, parts in named.items() if is_going_on(parts[-1])]
    return {name: parts for name, parts in named.items() if name not in going_on}, going_on


def files(folder: Path) -> Iterator[Path]:
    """Files of W&B runs below ``folder``, which may also be a run's own W&B folder."""
    yield from (path for path in folder.rglob("run-*.wandb") if not path.parent.is_symlink())


def _began(file: Path) -> str:
    """When W&B began to write ``file``, as its folder's name says: run-DATE_TIME-ID, or offline-run-…"""
    return file.parent.name.removeprefix("offline-")


def is_uploaded(file: Path) -> bool:
    return file.with_suffix(".wandb.synced").exists()


def is_going_on(file: Path) -> bool:
    """Whether a run is still written to: recent, and without the record that ends it."""
    if time.time() - file.stat().st_mtime > STILL_WRITTEN:
        return False
    summary = _wandb("leet", "inspect", "--summary", "--json", str(file), timeout=60).stdout
    try:
        return json.loads(summary).get("exit_code") is None
    except ValueError:
        return True


def upload(parts: Sequence[Path], timeout: float) -> str | None:
    """Upload one run; what went wrong, or None."""
    try:
        ended = _wandb("sync", "--include-online", *map(str, parts), timeout=timeout)  # skips parts that are up
    except subprocess.TimeoutExpired:
        return f"failed: not done after {timeout:.0f} s"
    if all(map(is_uploaded, parts)):
        return None
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
    return f"failed: {lines[-1].removeprefix('wandb: ') if lines else f'exit code {ended.returncode}'}"


def check_service() -> None:
    """Find out now, in one line, what would otherwise be found out run by run."""
    import wandb

    from camri_exp.tracking.session import has_key, trouble

    url = wandb.setup(settings=wandb.Settings(silent=True)).settings.base_url
    if not has_key(url):
        raise UserError(f"there is no key for {url}. Run `wandb login` once, or set WANDB_API_KEY.")
    if (problem := trouble(url)) is not None:
        raise UserError(f"{url} does not answer ({problem}). Nothing was uploaded, nothing is lost.")


def _wandb(*arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run ``wandb``, at most ``timeout`` seconds.

    The process that it starts would go on uploading: it ends when it finds itself alone, and holds the pipes till then.
    """
    command, pipe = [sys.executable, "-m", "wandb", *arguments], subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=ENDING)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _name(file: Path) -> str:
    """The folder of the run that wrote ``file``, relative to here where it can be."""
    folder = next((path.parent for path in file.parents if path.name == "wandb"), file.parent)
    return str(display_path(folder))


if __name__ == "__main__":
    main()
