"""The package as others install it: a wheel with its configs, away from the checkout, run from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import QUICK, TESTS

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, TESTS.parent], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_every_config_travels_with_the_package_and_nothing_else_does(wheel: Path) -> None:
    held = zipfile.ZipFile(wheel).namelist()
    configs = {str(path.relative_to(TESTS.parent / "configs")) for path in (TESTS.parent / "configs").rglob("*.yaml")}
    assert {name.removeprefix("camri_exp/configs/") for name in held if name.endswith(".yaml")} == configs
    assert "camri_exp/py.typed" in held
    assert {name.split("/")[0] for name in held if ".dist-info/" not in name} == {"camri_exp", "hydra_plugins"}


def test_it_trains_and_sweeps_from_any_folder(wheel: Path, tmp_path: Path) -> None:
    site, folder = tmp_path / "site", tmp_path / "anywhere"
    folder.mkdir()
    subprocess.run([*PIP, "install", "--no-deps", "--target", site, wheel], check=True)
    environment = os.environ | {"PYTHONPATH": str(site)}
    where = "import camri_exp; print(camri_exp.__file__)"
    found = subprocess.run([sys.executable, "-c", where], cwd=folder, env=environment, capture_output=True, text=True)
    assert Path(found.stdout.strip()).is_relative_to(site)
    sweep = [sys.executable, "-m", "camri_exp.train", "-m", "loss=ce,camri", "sweep.name=mine", *QUICK]
    done = subprocess.run(sweep, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((folder / "logs" / "sweeps" / "mine").glob("*/result.json"))) == 2
