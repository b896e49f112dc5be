"""The package as users install it: a wheel that contains the configs, run from any folder."""

import configparser
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from camri_exp.__main__ import COMMANDS
from tests.conftest import QUICK, TESTS

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, TESTS.parent], check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_contains_every_file_and_config_of_the_two_packages_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    configs = {str(path.relative_to(TESTS.parent / "configs")) for path in (TESTS.parent / "configs").rglob("*.yaml")}
    assert {name.removeprefix("camri_exp/configs/") for name in names if name.endswith(".yaml")} == configs
    package = [path for path in (TESTS.parent / "camri_exp").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {str(path.relative_to(TESTS.parent)) for path in package} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"camri_exp", "hydra_plugins"}


def test_wheel_has_a_script_per_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
    scripts = configparser.ConfigParser()
    scripts.read_string(archive.read(name).decode())
    assert dict(scripts["console_scripts"]) == {f"camri-{name}": f"camri_exp.{name}:main" for name in COMMANDS}


def test_installed_wheel_trains_and_sweeps_from_any_folder(wheel: Path, tmp_path: Path) -> None:
    site, folder = tmp_path / "site", tmp_path / "anywhere"
    folder.mkdir()
    subprocess.run([*PIP, "install", "--no-deps", "--target", site, wheel], check=True)
    environment = os.environ | {"PYTHONPATH": str(site)}
    code = "import camri_exp; print(camri_exp.__file__)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert Path(printed.stdout.strip()).is_relative_to(site)
    sweep = [site / "bin" / "camri-train", "-m", "loss=ce,camri", "sweep.name=mine", *QUICK]
    finished = subprocess.run(sweep, cwd=folder, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert len(list((folder / "logs" / "sweeps" / "mine").glob("*/result.json"))) == 2
