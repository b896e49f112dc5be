"""Training while the W&B service refuses, hangs or dies: the numbers and the files are the same."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from camri_exp.tracking import sync
from tests.conftest import QUICK, TESTS, TINY_CONFIGS, Command, Finished
from tests.helpers import wandb_files as reading
from tests.helpers.results import metrics_of
from tests.helpers.wandb_service import KEY, Service, unused_address
from tests.tracking.conftest import forget, point_to

IMPATIENT = ("logger=wandb", "logger.wandb.init_timeout=2", "logger.wandb.finish_timeout=2")
MEDIA = ("confusion_matrix", "recall_accuracy", "confused", "per_class", "missed")


@pytest.fixture
def expected(train: Command, tmp_path: Path) -> dict[str, Any]:
    assert train("logger=none", into="plain").code == 0
    return metrics_of(tmp_path / "plain")


def check_complete(finished: Finished, run: Path, expected: dict[str, Any]) -> None:
    assert finished.code == 0, finished.err
    assert metrics_of(run) == expected
    for name in ("predictions.npz", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "config.yaml"):
        assert (run / name).is_file(), name


def parts(run: Path) -> list[reading.Run]:
    return [reading.read(file) for file in reading.files(run)]


def test_an_online_run_is_uploaded_completely(
    train: Command, tmp_path: Path, online: Service, expected: dict[str, Any]
) -> None:
    finished = train(*IMPATIENT, "logger.wandb.log_model=true", "logger.wandb.finish_timeout=30")
    check_complete(finished, tmp_path / "run", expected)
    ((run, code),) = online.exit_codes.items()
    assert code == 0
    assert online.summary(run)["test/accuracy"] == expected["test"]["accuracy"]
    assert [row["epoch"] for row in online.history(run) if "val/accuracy" in row] == [0]
    assert all(any(name in path for path in online.uploaded) for name in MEDIA)
    assert online.uploaded.count(f"checkpoint-{run}") == 2
    assert "camri_exp.tracking.sync" not in finished.out
    assert sync.pending([tmp_path / "run"]) == ({}, [])
    assert f"/runs/{run}" in finished.out  # where to watch it
    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not [path for path in written if KEY.encode() in path.read_bytes()]


def test_a_resumed_run_continues_the_same_online_run(train: Command, tmp_path: Path, online: Service) -> None:
    for overrides in ((), (f"resume={tmp_path / 'run'}", "trainer.max_epochs=2")):
        assert train(*IMPATIENT, "logger.wandb.finish_timeout=30", *overrides).code == 0
    ((run, code),) = online.exit_codes.items()
    assert code == 0
    assert [row["epoch"] for row in online.history(run) if "val/accuracy" in row] == [0, 1]
    assert sync.pending([tmp_path / "run"]) == ({}, [])


def test_an_offline_run_sends_nothing(
    train: Command, tmp_path: Path, online: Service, expected: dict[str, Any]
) -> None:
    finished = train(*IMPATIENT, "logger.wandb.mode=offline")
    check_complete(finished, tmp_path / "run", expected)
    assert online.requests == []
    assert "python -m camri_exp.tracking.sync run" in finished.out


def test_without_a_key_a_run_is_offline(
    train: Command, tmp_path: Path, online: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert train(*IMPATIENT).code == 0
    assert online.requests == []
    assert [part.exit_code for part in parts(tmp_path / "run")] == [0]


def test_a_service_that_refuses_connections(
    train: Command, tmp_path: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(unused_address(), monkeypatch)
    finished = train(*IMPATIENT)
    forget()
    check_complete(finished, tmp_path / "run", expected)
    assert finished.out.count("continues offline") == 1
    (part,) = parts(tmp_path / "run")
    assert part.exit_code == 0
    assert part.summary["test/accuracy"] == expected["test"]["accuracy"]


def test_a_service_that_hangs_at_the_start(
    train: Command, tmp_path: Path, online: Service, expected: dict[str, Any]
) -> None:
    online.hanging = True
    finished = train(*IMPATIENT)
    check_complete(finished, tmp_path / "run", expected)
    assert finished.out.count("continues offline") == 1
    (part,) = parts(tmp_path / "run")
    assert part.exit_code == 0


def test_the_rest_is_uploaded_after_the_service_died(
    train: Command,
    tmp_path: Path,
    online: Service,
    expected: dict[str, Any],
) -> None:
    online.lives = 2
    finished = train_in_a_process(tmp_path, online)
    check_complete(finished, tmp_path / "run", expected)
    assert "python -m camri_exp.tracking.sync run" in finished.out
    assert online.exit_codes == {}
    online.lives = None
    assert sync.sync([tmp_path / "run"], 60) == 0
    (run,) = online.exit_codes
    assert online.summary(run)["val/accuracy"]["max"] == pytest.approx(expected["val"]["accuracy"])
    assert online.summary(run)["test/accuracy"] == expected["test"]["accuracy"]
    assert [row["epoch"] for row in online.history(run) if "val/accuracy" in row] == [0]
    assert all(any(name in path for path in online.uploaded) for name in MEDIA)


@pytest.mark.parametrize("code", [0, 1])
def test_a_process_ends_with_its_exit_code_while_the_service_hangs(
    code: int, tmp_path: Path, online: Service, expected: dict[str, Any]
) -> None:
    online.hangs_at = "CreateArtifact" if code == 0 else "CreateRunFiles"
    finished = train_in_a_process(tmp_path, online, *(["test_checkpoint=none"] if code else []))
    assert finished.code == code, finished.err
    assert online.hanging
    if code == 0:
        check_complete(finished, tmp_path / "run", expected)
        assert "python -m camri_exp.tracking.sync run" in finished.out
        online.hanging, online.hangs_at = False, ""
        online.released.set()
        assert sync.sync([tmp_path / "run"], 60) == 0
        assert all(any(name in path for path in online.uploaded) for name in MEDIA)


def train_in_a_process(folder: Path, service: Service, *overrides: str) -> Finished:
    """The run of ``train``, as a process whose end can be observed; one that hangs is an error."""
    arguments = ["data=tiny", TINY_CONFIGS, *QUICK, *IMPATIENT]
    command = [sys.executable, "-m", "camri_exp.train", *arguments, f"hydra.run.dir={folder / 'run'}", *overrides]
    environment = {**os.environ, "WANDB_MODE": "online", "PYTHONPATH": str(TESTS.parent)}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
    return Finished(ended.returncode, ended.stdout, ended.stderr)
