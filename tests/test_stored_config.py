"""A run's config is data: nothing in it runs code, reads the environment or writes elsewhere."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from camri_exp.errors import UserError
from camri_exp.stored_config import GROUPS, load_run_config, own_targets
from tests.conftest import Command

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def config(runs: dict[str, Path]) -> dict[str, Any]:
    """The config of a real run on the digits."""
    return yaml.safe_load((runs["camri"] / "config.yaml").read_text())


def stored(config: dict[str, Any], folder: Path, change: Change = lambda content: None) -> Path:
    content = yaml.safe_load(yaml.safe_dump(config))
    change(content)
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return folder


def test_the_config_of_a_run_is_read(config: dict[str, Any], tmp_path: Path) -> None:
    cfg = load_run_config(stored(config, tmp_path), GROUPS)
    assert (cfg.loss.name, cfg.loss.scale, cfg.data.batch_size) == ("camri", 16.0, 64)


def test_own_targets_are_those_of_the_options() -> None:
    assert "camri_exp.losses.CAMRILoss" in own_targets("loss")
    assert own_targets("head") == {"camri_exp.models.heads.LinearHead", "camri_exp.models.heads.CosineHead"}
    assert not own_targets("loss") & own_targets("data")


@pytest.mark.parametrize(
    ("group", "change"),
    [
        ("loss", lambda c: c["loss"].update(_target_="os.system", command="true")),
        ("head", lambda c: c["head"].update(_target_="subprocess.Popen", args=["true"])),
        ("data", lambda c: c["data"].update(_target_="builtins.exec")),
        ("loss", lambda c: c["loss"].update(margin={"_target_": "os.getcwd"})),
        ("loss", lambda c: c["loss"].update(margin=[{"deep": [{"_target_": "os.getcwd"}]}])),
        ("loss", lambda c: c["loss"].update(_target_="torch.nn.Linear")),
        ("loss", lambda c: c["loss"].update(_target_=["os", "system"])),
        ("logger", lambda c: c.update(logger={"x": {"_target_": "os.system", "command": "true"}})),
        ("callbacks", lambda c: c["callbacks"].update(x={"_target_": "os.remove", "path": "a"})),
        ("optimizer", lambda c: c["optimizer"].update(_target_="os.system")),
        ("scheduler", lambda c: c["scheduler"].update(_target_="os.system")),
        ("trainer", lambda c: c["trainer"].update(strategy={"_target_": "os.system"})),
    ],
)
def test_a_foreign_target_is_refused(config: dict[str, Any], tmp_path: Path, group: str, change: Change) -> None:
    with pytest.raises(UserError, match=f"was refused: {group}._target_=.* would be run as code"):
        load_run_config(stored(config, tmp_path, change), GROUPS)


def test_nothing_is_imported_before_it_is_judged(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil_module.py").write_text("from pathlib import Path\nPath('touched').touch()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    run = stored(config, tmp_path, lambda c: c["loss"].update(_target_="evil_module.Loss"))
    with pytest.raises(UserError, match=r"trust=evil_module\.Loss"):
        load_run_config(run)
    assert "evil_module" not in sys.modules
    assert not (tmp_path / "touched").exists()
    assert load_run_config(run, trusted=["evil_module.Loss"]).loss._target_ == "evil_module.Loss"


def test_resume_refuses_a_config_that_would_run_a_command(
    config: dict[str, Any], tmp_path: Path, command: Command
) -> None:
    (tmp_path / "run").mkdir()
    stored(
        config, tmp_path / "run", lambda c: c.update(logger={"x": {"_target_": "os.system", "command": "touch hit"}})
    )
    finished = command("train", "resume=run")
    assert finished.code == 1
    assert "logger._target_=os.system" in finished.err
    assert len(finished.err.strip().splitlines()) == 2
    assert not (tmp_path / "hit").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [1]\nb: *a\n", "YAML aliases"),
        ("[" * 100 + "]" * 100, "nested too deeply"),
        ("a: " + "x" * (1 << 20), "larger than 1 MiB"),
        ("a: [", "is damaged"),
        ("a: !!python/object/apply:os.system [true]\n", "is damaged"),
        ("a: 1\na: 2\n", "is damaged"),
        ("\x00", "is damaged"),
        ("3", "is damaged"),
        ("[1]", "not the config of a run"),
        ("", "not the config of a run"),
        ("seed: 1\n", "not the config of a run"),
    ],
)
def test_a_damaged_or_hostile_file_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=words) as error:
        load_run_config(tmp_path)
    assert len(str(error.value).splitlines()) == 1


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read"):
        load_run_config(tmp_path)


@pytest.mark.parametrize("value", ["${oc.env:TOKEN}", "${oc.env:TOKEN,none}", "text ${seed}"])
def test_an_interpolation_is_refused(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    with pytest.raises(UserError, match="holds an interpolation") as error:
        load_run_config(stored(config, tmp_path, lambda c: c.update(seed=value)))
    assert "secret" not in str(error.value)


def test_a_stored_cache_folder_is_dropped(config: dict[str, Any], tmp_path: Path) -> None:
    run = stored(config, tmp_path, lambda c: c["data"].update(cache_dir="/victim"))
    assert load_run_config(run).data.cache_dir is None


def test_each_command_builds_a_foreign_class_only_where_it_is_trusted(
    train: Command, command: Command, tmp_path: Path
) -> None:
    assert train().code == 0
    checkpoint = f"checkpoint={tmp_path / 'run' / 'checkpoints' / 'best.ckpt'}"
    for arguments in (
        ("evaluate", checkpoint, "figures=false"),
        ("export", checkpoint, "output=model.pt2", "format=torch", "check_images=2"),
        ("train", f"resume={tmp_path / 'run'}", "trainer.max_epochs=2"),
    ):
        refused = command(*arguments)
        assert refused.code == 1
        assert "trust=tests.helpers.tiny.TinyDataModule" in refused.err
        trusted = command(*arguments, "trust=my.Other,tests.helpers.tiny.TinyDataModule")
        assert trusted.code == 0, trusted.err
