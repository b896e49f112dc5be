"""Damaged files of runs: every command that reads one ends in at most two lines of error, or does without it."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest

from camri_exp.errors import UserError
from camri_exp.evaluation.record import Evaluation
from camri_exp.results import FailureRecord
from tests.conftest import QUICK, Command, Finished
from tests.helpers.damage import damaged_bytes, damaged_json, damaged_npz, damaged_text
from tests.helpers.image_files import image_file
from tests.helpers.runs import trained

pytestmark = pytest.mark.slow
LONGEST = 60  # seconds per command
MODEL = ("data=digits", "model.width=0.25")
SWEEP = (*MODEL, *QUICK, "loss=ce,camri", "seed=0,1", "sweep.name=all")
SWEEP_FOLDER = "logs/sweeps/all"
OTHER_TASK = "error: baseline=ce: no finished run"  # the answer to a whole result.json of another data set
Kind = Callable[[bytes], Iterator[tuple[str, bytes]]]


class HangError(BaseException):
    """The command ran too long; not an Exception, so that the command cannot catch it."""


@dataclass(frozen=True)
class Reader:
    """A command that reads ``file``, relative to the run or to the sweep.

    ``most`` limits the number of damaged versions, chosen at random.
    """

    file: str
    kind: Kind
    name: str
    arguments: tuple[str, ...]
    most: int | None = None

    @property
    def is_sweep(self) -> bool:
        return self.name == "report" or "-m" in self.arguments

    def cases(self, path: Path) -> list[tuple[str, bytes]]:
        cases = list(self.kind(path.read_bytes()))
        if self.most is None or self.most >= len(cases):
            return cases
        return sorted(random.Random(0).sample(cases, self.most))


REPORT = (f"sweep={SWEEP_FOLDER}", "figures=false", "output=report")
RUN = "run"
JOB = f"{SWEEP_FOLDER}/JOB"
EVALUATE, BIAS = ("run=run", "figures=false"), ("checkpoint=run/checkpoints/best.ckpt", "bias=auto")
CHECKPOINT, PREDICT = ("checkpoint=run/checkpoints/best.ckpt", "figures=false"), (*BIAS, "images=images")
EXPORT = (*BIAS, "format=torch", "output=model.pt2", "images=images", "check_images=2")
RESUME, AGAIN = ("resume=run",), ("-m", *SWEEP)
LONGER = ("resume=run", "trainer.max_epochs=2")
READERS = [
    Reader(f"{JOB}/result.json", damaged_json, "report", REPORT, 50),
    Reader(f"{RUN}/result.json", damaged_json, "evaluate", EVALUATE, 30),
    Reader(f"{RUN}/result.json", damaged_json, "predict", PREDICT, 10),
    Reader(f"{RUN}/result.json", damaged_json, "export", EXPORT, 6),
    Reader(f"{RUN}/result.json", damaged_json, "train", RESUME, 12),
    Reader(f"{JOB}/result.json", damaged_json, "train", AGAIN, 4),
    Reader(f"{JOB}/job.json", damaged_json, "report", REPORT, 20),
    Reader(f"{JOB}/job.json", damaged_json, "train", AGAIN, 4),
    Reader(f"{JOB}/failure.json", damaged_json, "report", REPORT, 15),
    Reader(f"{JOB}/failure.json", damaged_json, "train", (*AGAIN, "sweep.rerun=none"), 3),
    Reader(f"{SWEEP_FOLDER}/jobs.json", damaged_json, "report", REPORT, 20),
    Reader(f"{SWEEP_FOLDER}/jobs.json", damaged_json, "train", AGAIN, 4),
    Reader(f"{RUN}/config.yaml", damaged_text, "evaluate", EVALUATE, 20),
    Reader(f"{RUN}/config.yaml", damaged_text, "evaluate", CHECKPOINT, 8),
    Reader(f"{RUN}/config.yaml", damaged_text, "predict", PREDICT, 8),
    Reader(f"{RUN}/config.yaml", damaged_text, "export", EXPORT, 5),
    Reader(f"{RUN}/config.yaml", damaged_text, "train", RESUME, 10),
    Reader(f"{RUN}/predictions.npz", damaged_npz, "evaluate", EVALUATE, 20),
    Reader(f"{RUN}/predictions.npz", damaged_npz, "predict", PREDICT, 8),
    Reader(f"{JOB}/predictions.npz", damaged_npz, "report", REPORT, 15),
    Reader(f"{RUN}/metrics.csv", damaged_text, "train", LONGER, 10),
    Reader(f"{RUN}/checkpoints/best.ckpt", damaged_bytes, "evaluate", CHECKPOINT, 16),
    Reader(f"{RUN}/checkpoints/best.ckpt", damaged_bytes, "evaluate", EVALUATE, 8),
    Reader(f"{RUN}/checkpoints/best.ckpt", damaged_bytes, "predict", PREDICT, 8),
    Reader(f"{RUN}/checkpoints/best.ckpt", damaged_bytes, "export", EXPORT, 4),
    Reader(f"{RUN}/checkpoints/last.ckpt", damaged_bytes, "train", LONGER, 10),
    Reader(f"{RUN}/evaluation.json", damaged_json, "evaluate", EVALUATE, 6),
]


def name_of(reader: Reader) -> str:
    options = [argument.partition("=")[0] for argument in reader.arguments[:1]]
    return " ".join([reader.file.removeprefix(f"{SWEEP_FOLDER}/"), reader.name, *options])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, a sweep of four jobs and images, all whole. ``JOB`` stands for the third job."""
    home = tmp_path_factory.mktemp("whole")
    trained(home / "run", *MODEL)
    subprocess.run([sys.executable, "-m", "camri_exp.train", *AGAIN], cwd=home, check=True, capture_output=True)
    for number in range(2):
        image_file(home / "images" / f"{number}.png", seed=number, size=(8, 8), mode="L")
    return home


@pytest.fixture
def limited() -> Iterator[Callable[[], None]]:
    """``limited()`` starts the time that one command may take."""

    def hangs(number: int, frame: FrameType | None) -> None:
        raise HangError(f"more than {LONGEST} s")

    previous = signal.signal(signal.SIGALRM, hangs)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, LONGEST)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


def prepared(reader: Reader, whole: Path, home: Path) -> Path:
    """A copy in ``home`` of what ``reader`` needs; returns the path of the file to damage.

    The record of a job is read where it has no result, and ``failure.json`` where the job failed.
    """
    for name in ("logs",) if reader.is_sweep else ("run", "images"):
        shutil.rmtree(home / name, ignore_errors=True)
        shutil.copytree(whole / name, home / name)
    job = json.loads((whole / SWEEP_FOLDER / "jobs.json").read_text())[2]
    path = home / reader.file.replace("JOB", job)
    if path.name in ("job.json", "failure.json"):
        (path.parent / "result.json").unlink()
    if path.name == "failure.json":
        FailureRecord(error="out of memory").write(path)
    if path.name == "evaluation.json":
        path.write_text('{"schema": 1, "split": "test"}')
    return path


def complaint(finished: Finished, reader: Reader) -> str | None:
    """What is wrong with how the command ended, or None."""
    if "Traceback" in finished.out + finished.err:
        return "a traceback"
    if finished.code not in (0, 1):
        return f"exit code {finished.code}"
    lines = finished.err.strip().splitlines()
    if finished.code == 1 and reader.arguments[0] != "-m" and not 1 <= len(lines) <= 2:
        return f"{len(lines)} lines of error"
    if reader.name == "report" and finished.code and not finished.err.startswith(OTHER_TASK):
        return "no report"
    return None


@pytest.mark.parametrize("reader", READERS, ids=name_of)
def test_a_damaged_file_ends_in_two_lines_at_most(
    reader: Reader, whole: Path, command: Command, limited: Callable[[], None], tmp_path: Path
) -> None:
    cases, wrong = reader.cases(prepared(reader, whole, tmp_path)), []
    for what, content in cases:
        prepared(reader, whole, tmp_path).write_bytes(content)
        limited()
        try:
            finished = command(reader.name, *reader.arguments)
        except (Exception, HangError) as error:
            finished = Finished(2, "", f"Traceback: {type(error).__name__}: {error}")
        if text := complaint(finished, reader):
            wrong.append(f"{what}: {text}\n{finished.err[-1500:]}")
    print(f"{len(cases)} damaged versions of {reader.file} given to {reader.name}")
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong[:12])


def test_at_least_300_damaged_files_are_tried(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = Counter()
    for reader in READERS:
        counts[Path(reader.file).name] += len(reader.cases(prepared(reader, whole, tmp_path)))
    with capsys.disabled():
        print(f"\n{counts.total()} damaged files: {', '.join(f'{count} {name}' for name, count in counts.items())}")
    assert counts.total() >= 300


@pytest.mark.parametrize("name", ["result.json", "predictions.npz"])
def test_a_report_names_and_counts_the_damaged_file(name: str, whole: Path, command: Command, tmp_path: Path) -> None:
    path = prepared(Reader(f"{JOB}/{name}", damaged_bytes, "report", REPORT), whole, tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    finished = command("report", *REPORT)
    assert finished.code == 0, finished.err
    assert str(path.relative_to(tmp_path)) in finished.out
    if name == "result.json":
        assert finished.out.startswith("3 finished runs; 1 damaged.")


def test_a_damaged_evaluation_is_named(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    for what, content in damaged_json(b'{"schema": 1, "split": "test", "images": 5}'):
        path.write_bytes(content)
        with pytest.raises(UserError, match=re.escape(str(path))):
            Evaluation.read(path)
        assert what
