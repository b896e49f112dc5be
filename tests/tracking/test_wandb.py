"""The content of the W&B files of real runs."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from camri_exp import tracking
from camri_exp.tracking import media
from camri_exp.tracking.base import RunDescription
from camri_exp.tracking.session import has_key
from camri_exp.tracking.summary import METRICS
from camri_exp.tracking.wandb import STEP, WandbRun
from tests.conftest import Command
from tests.helpers import wandb_files as reading
from tests.helpers import wandb_service as service
from tests.helpers.results import result_of

CURVES = {"train/loss", "train/lr", "train/images_per_second", "val/accuracy", "val/recall_important", STEP}
ANGLES = {f"val/angle_{kind}_{whose}" for kind in ("mean", "var") for whose in ("important", "rest")}
DESCRIPTION = RunDescription({"data": {"name": "d"}, "loss": {"name": "l"}}, [], ["Stop"])
MEDIA = {media.CONFUSION, media.RECALL_ACCURACY, media.CONFUSED, media.PER_CLASS, media.MISSED}


def jobs(sweep: Path) -> dict[Path, reading.Run]:
    return {folder.parent: reading.read(*reading.files(folder.parent)) for folder in sorted(sweep.glob("*/wandb"))}


def test_each_job_of_a_sweep_is_one_run(sweep: Path) -> None:
    runs = jobs(sweep)
    assert len(runs) == 4
    assert len({run.id for run in runs.values()}) == 4
    assert {run.name for run in runs.values()} == {
        f"digits {loss} seed={seed} max_epochs=2" for loss in ("ce", "camri") for seed in (0, 1)
    }
    for run in runs.values():
        assert (run.group, run.job_type, run.exit_code) == ("mine", "train", 0)
        assert run.tags == ["digits", run.config["loss"]["name"], "8"]


def test_the_whole_config_is_logged_nested(sweep: Path) -> None:
    for folder, run in jobs(sweep).items():
        assert run.config["seed"] == result_of(folder)["seed"]
        assert run.config["important_class_names"] == "8"
        assert run.config["trainer"]["max_epochs"] == 2
    margins = {run.config["loss"].get("margin") for run in jobs(sweep).values()}
    assert None in margins
    assert len(margins) == 2


def test_the_curves_are_logged(sweep: Path) -> None:
    for run in jobs(sweep).values():
        rows = [row for row in run.history if "val/accuracy" in row]
        assert len(rows) == 2
        assert {key for row in run.history for key in row} >= CURVES
        assert (set(rows[0]) >= ANGLES) == (run.config["loss"]["name"] == "camri")
        steps = [row[STEP] for row in run.history]
        assert steps == sorted(steps)


def test_the_summary_is_that_of_the_selected_checkpoint(sweep: Path) -> None:
    for folder, run in jobs(sweep).items():
        result = result_of(folder)
        for metric in METRICS:
            assert run.summary[f"test/{metric}"] == result["test"][metric]
            assert run.summary[f"chosen/val/{metric}"] == result["val"][metric]
        for name, value in result["test"]["recall"].items():
            assert run.summary[f"test/recall/{name}"] == value
        best = max(row["val/accuracy"] for row in run.history if "val/accuracy" in row)
        assert run.summary["val/accuracy"] == {"max": best}


def test_media_are_logged_and_on_disk(sweep: Path) -> None:
    for folder, run in jobs(sweep).items():
        assert {key.partition(".")[0] for row in run.history for key in row} >= MEDIA
        (files,) = {file.parent / "files" for file in reading.files(folder)}
        shown = [path for path in run.files if path.startswith("media/")]
        assert len(shown) == len(MEDIA)
        assert all((files / path).is_file() for path in shown)
        table = json.loads((files / next(path for path in shown if "missed" in path)).read_text(encoding="utf-8"))
        assert table["columns"] == list(media.MISSED_COLUMNS)
        result = result_of(folder)
        wrong = round((1 - result["test"]["recall_important"]) * 35)  # of the 35 eights
        assert len(table["data"]) == wrong


def test_checkpoints_are_artifacts_with_aliases(sweep: Path) -> None:
    for run in jobs(sweep).values():
        name = f"checkpoint-{run.id}"
        assert sorted(run.artifacts[f"{name}:best,latest"]) == ["checkpoints/best.ckpt", "config.yaml"]
        assert sorted(run.artifacts[f"{name}:last,latest"]) == ["checkpoints/last.ckpt", "config.yaml"]


def test_no_key_is_written_anywhere(sweep: Path) -> None:
    written = [path for path in sweep.rglob("*") if path.is_file()]
    assert len(written) > 40
    assert not [path for path in written if service.KEY.encode() in path.read_bytes()]


def test_a_failed_run_has_exit_code_1(train: Command, tmp_path: Path) -> None:
    assert train("logger=wandb", "test_checkpoint=none").code == 1
    (file,) = reading.files(tmp_path / "run")
    assert reading.read(file).exit_code == 1


def test_a_resumed_run_stays_one_run(train: Command, tmp_path: Path) -> None:
    assert train("logger=wandb").code == 0
    assert train("logger=wandb", f"resume={tmp_path / 'run'}", "trainer.max_epochs=2").code == 0
    first, second = (reading.read(file) for file in reading.files(tmp_path / "run"))
    assert first.id == second.id
    assert first.name == second.name
    assert first.group == second.group == ""  # the group is for sweeps only
    epochs = [[row["epoch"] for row in run.history if "val/accuracy" in row] for run in (first, second)]
    assert epochs == [[0], [1]]


def test_a_run_after_the_death_of_the_wandb_process_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        run = WandbRun(str(tmp_path / name), "project")
        run.start(DESCRIPTION)
        run.log_metrics({"a": 1.0}, 0)
        if name == "first":  # as the system does where memory is short
            kill_wandb_process()
        for step in range(1, 4):
            run.log_metrics({"a": 2.0}, step)
        run.close(0)
    (file,) = reading.files(tmp_path / "second")
    second = reading.read(file)
    assert [row["a"] for row in second.history] == [1, 2, 2, 2]
    assert second.exit_code == 0


def kill_wandb_process() -> None:
    """Kill the process that wandb started for this one."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    processes = [line.split(maxsplit=2) for line in listed.splitlines()]
    (pid,) = (int(pid) for pid, parent, args in processes if int(parent) == os.getpid() and "wandb-core" in args)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("logger.wandb.mode=onlin", "wandb.mode=onlin"),
        ("logger.wandb.project=a/b", "Invalid project name 'a/b'"),
        ("logger.wandb.init_timeout=soon", "wandb.init_timeout=soon"),
    ],
)
def test_a_setting_that_wandb_refuses_is_an_error(train: Command, tmp_path: Path, override: str, text: str) -> None:
    finished = train("logger=wandb", override)
    assert finished.code == 1
    assert text in finished.err
    assert not (tmp_path / "run" / "checkpoints" / "best.ckpt").exists()


def test_keys_in_the_netrc_file_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    keys = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(keys))
    usual = wandb.Settings().base_url
    assert not has_key(usual)
    # A server with a port, and where `wandb login` of every version stored the key of the public one.
    for host, url in (("localhost:8080", "http://localhost:8080"), ("api.wandb.ai", usual)):
        keys.write_text(f"machine {host}\n  login user\n  password {service.KEY}\n", encoding="utf-8")
        assert has_key(url)
        assert not has_key("https://elsewhere.example")


def test_an_evaluation_is_a_separate_run(
    sweep: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "run"
    shutil.copytree(next(sweep.glob("*camri*")), run, ignore=shutil.ignore_patterns("wandb", "figures"))
    before = (run / "checkpoints" / "wandb.json").read_bytes()
    done = command("evaluate", f"run={run}", "logger=wandb")
    assert done.code == 0, done.err
    assert f"python -m camri_exp.tracking.sync {run.relative_to(tmp_path)}" in done.out
    (file,) = reading.files(run)
    logged, evaluation = reading.read(file), json.loads((run / "evaluation.json").read_text())
    assert (logged.job_type, logged.exit_code) == ("evaluate", 0)
    assert logged.config["loss"]["scale"] == 16
    assert logged.summary["evaluation/test/accuracy"] == evaluation["accuracy"]
    assert logged.summary["evaluation/test/recall_important_low"] == evaluation["intervals"]["recall_important"]["low"]
    assert logged.summary["evaluation/test/threshold/recall"] == evaluation["threshold"]["test"]["recall"]
    assert not any(key.startswith(("test/", "val/")) for key in logged.logged())  # panels of training runs
    drawn = {path.stem for path in (run / "figures").glob("*.png")}
    assert {f"evaluation/{name}" for name in drawn} <= {key.partition(".")[0] for key in logged.logged()}
    assert (run / "checkpoints" / "wandb.json").read_bytes() == before


def test_disabled_writes_nothing(train: Command, tmp_path: Path) -> None:
    assert train("logger=wandb", "logger.wandb.mode=disabled").code == 0
    assert not (tmp_path / "run" / "wandb").exists()


def test_only_the_first_process_has_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    other = WandbRun(str(tmp_path), "project")
    other.start(DESCRIPTION)
    other.log_metrics({"a": 1}, 0)
    other.close(0)
    assert other.run is None
    assert not list(tmp_path.iterdir())


def test_any_error_of_wandb_is_logged_and_the_run_continues(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("renamed in the next version")

    monkeypatch.setattr(wandb, "init", fail)
    run = WandbRun(str(tmp_path), "project")
    run.start(DESCRIPTION)
    run.log_metrics({"a": 1}, 0)
    run.close(0)
    assert "starting the run failed (renamed in the next version)" in capsys.readouterr().out


def test_only_public_names_of_wandb_are_used() -> None:
    for path in Path(tracking.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "wandb.sdk" not in text
        private = {
            node.attr
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr) and ast.unparse(node.value) != "self"
        }
        # wandb_workspaces has no public way to find a saved view again.
        assert not private or path.name == "dashboard.py", (path, private)


def test_wandb_is_not_imported_without_its_logger(tmp_path: Path) -> None:
    code = "import sys; from camri_exp.train import main; main(); sys.exit(3 if 'wandb' in sys.modules else 0)"
    overrides = ["logger=csv", "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}"]
    ended = subprocess.run([sys.executable, "-c", code, *overrides], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
