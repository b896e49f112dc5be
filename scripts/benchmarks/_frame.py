"""What the benchmarks share: rows, repeats in turn, and the machine."""

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
    """What this machine lacks for a benchmark, in a line."""


@dataclass(frozen=True)
class Row:
    """One thing measured, beside an alternative where there is one.

    Attributes:
        what: ours, in words.
        rival: the alternative, in words; empty without one.
        ours: median.
        against: the rival's median.
        ratio: median of ours / against, repeat by repeat.
        spread: lower and upper quartile of the ratio, or of ours without a rival.
        unit: of ours and against.
        target: such as ``ratio >= 0.97``, ``ours <= 1.5``, ``difference <= 1.5`` (ours less against); empty: a fact.
        note: what else a reader must know.
    """

    what: str
    rival: str
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
        rival: str = "",
        against: Sequence[float] = (),
        target: str = "",
        note: str = "",
    ) -> "Row":
        """From the repeats of both; ``against[i]`` was measured beside ``ours[i]``."""
        ratios = [a / b for a, b in zip(ours, against, strict=True)] if against else []
        return cls(
            what,
            rival,
            statistics.median(ours),
            statistics.median(against) if against else None,
            statistics.median(ratios) if ratios else None,
            quartiles(ratios or ours),
            unit,
            target,
            note,
        )

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if not self.target:
            return None
        of, sign, bound = self.target.split()
        value = {"ratio": self.ratio, "ours": self.ours, "difference": self.ours - (self.against or 0)}[of]
        assert value is not None, f"{self.what}: a target for a ratio needs a rival"
        return value >= float(bound) if sign == ">=" else value <= float(bound)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}


def row(values: Mapping[str, Any]) -> Row:
    """The row that ``as_dict`` wrote."""
    fields = {key: value for key, value in values.items() if key != "met"}
    return Row(**fields | {"spread": tuple(fields["spread"])})


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper


def in_turn(repeats: int, **measurements: Callable[[], float]) -> dict[str, list[float]]:
    """``repeats`` numbers of each measurement, taken in turn (every other round backwards) after a warm-up of each.

    What disturbs the machine for a while then disturbs all of them alike.
    """
    found: dict[str, list[float]] = {name: [] for name in measurements}
    for measure in measurements.values():
        measure()
    for repeat in range(repeats):
        for name in list(measurements)[:: 1 if repeat % 2 == 0 else -1]:
            found[name].append(measurements[name]())
    return found


def seconds(function: Callable[[], Any], calls: int = 1) -> Callable[[], float]:
    """A measurement: seconds a call of ``function``, over ``calls`` of them."""

    def measure() -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            function()
        return (time.perf_counter() - begin) / calls

    return measure


@contextmanager
def nothing_compiled_yet() -> Iterator[None]:
    """``torch.compile`` without what earlier processes left on disk, which would make it seem to take no time."""
    with TemporaryDirectory() as empty, mock.patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=empty):
        yield


@dataclass(frozen=True)
class Process:
    """A process that ended: seconds from its start to its end, and what it printed."""

    seconds: float
    out: str


def process(*arguments: str, code: int = 0, **environment: str) -> Process:
    """Run this Python with ``arguments`` to its end, which must be exit code ``code``."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=os.environ | environment)
    seconds = time.perf_counter() - begin
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return Process(seconds, done.stdout)


def names() -> list[str]:
    """All benchmarks."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def load(name: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.{name}")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
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
