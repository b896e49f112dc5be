"""What tests share: running a command in this process, and finding real data."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# Two cores, several test processes: one thread each is the fastest, and makes sums reproducible.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ.pop("HYDRA_FULL_ERROR", None)

TESTS = Path(__file__).resolve().parent
TRUST = "trust=tests.helpers.tiny.TinyDataModule"  # for commands that load the config of a run on the generated data
QUICK = ("logger=none", "trainer.max_epochs=1", "trainer.enable_progress_bar=false", "trainer.accelerator=cpu")


def searching(*more: Path) -> str:
    """The override with which a command finds the options of the tests, such as ``data=tiny``, and of more folders."""
    return f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in (TESTS / 'configs', *more))}]"


TINY_CONFIGS = searching()

# Tests with these fixtures train a model, start a browser or build a wheel, which takes seconds.
TRAINING_FIXTURES = {
    "train",
    "run",
    "runs",
    "finished",
    "whole",
    "sweep",
    "folder",
    "wheel",
    "config",
    "quiet",
    "browser",
    "planned",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if TRAINING_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    if os.environ.get("CAMRI_DATA"):
        return
    skip = pytest.mark.skip(reason="needs real pictures: set CAMRI_DATA to the folder that holds them")
    for item in items:
        if "realdata" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def real_data() -> Path:
    """The folder of the real data sets; only for tests marked ``realdata``."""
    return Path(os.environ["CAMRI_DATA"])


@dataclass
class Finished:
    """A command that ended: its exit code and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Finished]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run ``python -m camri_exp.NAME ARGUMENTS`` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: object) -> Finished:
        module = __import__(f"camri_exp.{name}", fromlist=["main"])
        monkeypatch.setattr(sys, "argv", [f"camri_exp.{name}", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            module.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        printed = capsys.readouterr()
        return Finished(code, printed.out, printed.err)

    return run


@pytest.fixture
def train(command: Command, tmp_path: Path) -> Command:
    """``train(*overrides, into=NAME)``: one short run on the generated data, its folder ``tmp_path / NAME``."""

    def run(*overrides: object, into: str = "run", data: str = "tiny") -> Finished:
        return command(
            "train",
            f"data={data}",
            TINY_CONFIGS,
            *QUICK,
            f"hydra.run.dir={tmp_path / into}",
            *overrides,
        )

    return run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two short runs on the digits, by their loss; tests must not change them."""
    from tests.helpers.runs import trained  # which needs this module

    top = tmp_path_factory.mktemp("evaluate")
    return {loss: trained(top / loss, "data=digits", f"loss={loss}", "model.width=0.5") for loss in ("camri", "ce")}
