"""DDP on two CPU processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import QUICK, TESTS, Command
from tests.helpers.results import result_of


def test_two_processes_count_every_test_image_once(train: Command, tmp_path: Path) -> None:
    """DDP on two CPU processes, from the same checkpoint as one process, gives the same test metrics."""
    assert train("data.batch_size=16", "trainer.max_epochs=2").code == 0
    run = tmp_path / "run"
    single = np.load(run / "predictions.npz")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS.parent)}
    test_again = subprocess.run(
        [sys.executable, str(TESTS / "helpers" / "evaluate_with_ddp.py"), str(run)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert test_again.returncode == 0, test_again.stderr[-3000:]
    double = np.load(run / "ddp.npz")
    assert len(double["test_target"]) % 2 == 1, "an odd split, or the sampler's padding would not show"
    np.testing.assert_array_equal(single["test_target"], double["test_target"])
    np.testing.assert_allclose(single["test_scores"], double["test_scores"], atol=1e-6)
    assert json.loads((run / "ddp.json").read_text()) == pytest.approx(
        {key: value for key, value in result_of(run)["test"].items() if key != "recall" and value is not None},
        abs=1e-6,
    )


def test_ddp_trains_from_the_command_line(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "camri_exp.train", "trainer=ddp_cpu", *QUICK, f"hydra.run.dir={tmp_path / 'run'}"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert finished.stdout.count("results:") == 1
    result = result_of(tmp_path / "run")
    with np.load(tmp_path / "run" / "predictions.npz") as arrays:
        assert result["test"]["accuracy"] == pytest.approx(
            (arrays["test_scores"].argmax(1) == arrays["test_target"]).mean()
        )
