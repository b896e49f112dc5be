"""What a run leaves on disk, and the hash that tells whether two runs are one."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from camri_exp.results import config_hash


def hashed(root: str | None) -> str:
    return config_hash(OmegaConf.create({"seed": 0, "data": {"name": "gtsrb", "root": root}}))


def test_a_run_is_the_same_wherever_a_machine_keeps_its_data_sets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CAMRI_DATA", raising=False)
    here = hashed("data")
    monkeypatch.setenv("CAMRI_DATA", str(tmp_path))
    assert hashed(str(tmp_path)) == here


def test_a_folder_of_ones_own_is_part_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMRI_DATA", str(tmp_path))
    assert len({hashed(root) for root in (str(tmp_path), str(tmp_path / "mine"), "data", None)}) == 4
