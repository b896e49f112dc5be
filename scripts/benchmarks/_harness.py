"""What the benchmarks share: measurements against a baseline, alternating repeats, processes, and the machine."""

import importlib
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from unittest import mock

FOLDER = Path(__file__).parent
PACKAGES = ("torch", "torchvision", "pytorch-lightning", "timm", "numpy")


class UnavailableError(Exception):
    """This machine lacks something that a benchmark requires; the message says what, in one line."""


@dataclass(frozen=True)
class Measurement:
    """One quantity of camri_exp, compared with a baseline where there is one.

    Attributes:
        what: what was measured.
        baseline: the name of the baseline; empty without one.
        ours: median of our repeats.
        against: median of the baseline's repeats.
        ratio: median over the repeats of ours / against.
        spread: lower and upper quartile of the ratio, or of ours without a baseline.
        unit: of ``ours`` and ``against``.
        target: ``ratio >= 0.97``, ``ours <= 1.5`` or ``difference <= 1.5`` (ours - against); empty without a target.
        note: what else a reader needs to know.
    """

    what: str
    baseline: str
    ours: float
    against: float | None
    ratio: float | None
    spread: tuple[float, float]
    unit: str
    target: str = ""
    note: str = ""

    @classmethod
    def of(
        cls,
        what: str,
        ours: Sequence[float],
        unit: str,
        baseline: str = "",
        against: Sequence[float] = (),
        target: str = "",
        note: str = "",
    ) -> "Measurement":
        """The measurement of the repeats of both; ``against[i]`` was measured right before or after ``ours[i]``."""
        ratios = [a / b for a, b in zip(ours, against, strict=True)] if against else []
        return cls(
            what,
            baseline,
            statistics.median(ours),
            statistics.median(against) if against else None,
            statistics.median(ratios) if ratios else None,
            quartiles(ratios or ours),
            unit,
            target,
            note,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Measurement":
        """The measurement that ``to_dict`` wrote."""
        fields = {key: value for key, value in values.items() if key != "met"}
        return cls(**fields | {"spread": tuple(fields["spread"])})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if not self.target:
            return None
        quantity, sign, bound = self.target.split()
        value = {"ratio": self.ratio, "ours": self.ours, "difference": self.ours - (self.against or 0)}[quantity]
        assert value is not None, f"{self.what}: a target for the ratio requires a baseline"
        return value >= float(bound) if sign == ">=" else value <= float(bound)


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper


def in_turn(repeats: int, **measurements: Callable[[], float]) -> dict[str, list[float]]:
    """``repeats`` values of each measurement, after one warm-up of each.

    The measurements alternate, and every second round runs backwards, so that other load on the machine affects all of
    them alike.
    """
    values: dict[str, list[float]] = {name: [] for name in measurements}
    for measure in measurements.values():
        measure()
    for repeat in range(repeats):
        for name in list(measurements)[:: 1 if repeat % 2 == 0 else -1]:
            values[name].append(measurements[name]())
    return values


def seconds(function: Callable[[], Any], calls: int = 1) -> Callable[[], float]:
    """A measurement: seconds per call of ``function``, as the mean of ``calls`` calls."""

    def measure() -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            function()
        return (time.perf_counter() - begin) / calls

    return measure


@contextmanager
def nothing_compiled_yet() -> Iterator[None]:
    """An empty cache for ``torch.compile``, because what earlier processes left there would hide its cost."""
    with TemporaryDirectory() as empty, mock.patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=empty):
        yield


@dataclass(frozen=True)
class Process:
    """A process that has ended: its seconds from start to end, and its output."""

    seconds: float
    out: str


def process(*arguments: str, code: int = 0, **environment: str) -> Process:
    """Run this Python with ``arguments``.

    Raises:
        RuntimeError: it ended with another exit code than ``code``.
    """
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=os.environ | environment)
    seconds = time.perf_counter() - begin
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return Process(seconds, done.stdout)


def names() -> list[str]:
    """The names of all benchmarks."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def load(name: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.{name}")


def machine() -> dict[str, Any]:
    """Hardware and software of this machine, as stored next to the measurements."""
    import torch

    from camri_exp import __version__

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpus": gpus,
        "load": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {"camri_exp": __version__} | {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
