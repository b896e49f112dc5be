"""``evaluate checkpoint=… data.root=NEW recall=…``: is the promise of a run tenable on labelled images from later?"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Command
from tests.helpers.image_files import class_folders
from tests.helpers.runs import trained_on_folders


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_on_folders(tmp_path_factory.mktemp("field"), 40, "data.calibration_fraction=0.3")


def with_cats_found(run: Path, into: Path, shift: float) -> Path:
    """A copy of the run whose stored calibration scores make the model find cats easily (or hardly ever)."""
    shutil.copytree(run, into)
    with np.load(into / "predictions.npz") as file:
        arrays = dict(file)
    arrays["calibration_scores"][:, 0] += shift
    np.savez(into / "predictions.npz", **arrays)
    return into


@pytest.mark.parametrize(("shift", "broken"), [(100.0, True), (-100.0, False)])
@pytest.mark.parametrize("repeated", [False, True])
def test_the_exit_code_says_whether_the_promise_is_broken(
    run: Path, command: Command, tmp_path: Path, shift: float, broken: bool, repeated: bool
) -> None:
    copy = with_cats_found(run, tmp_path / "run", shift)
    new = class_folders(tmp_path / "new", count=20, classes=("cat", "dog"))
    done = command(
        "evaluate", f"checkpoint={copy}/checkpoints/best.ckpt", f"data.root={new}", "split=all", "recall=0.6",
        "confidence=0.9", f"repeated={str(repeated).lower()}", "figures=false", "output=out",
    )  # fmt: skip
    assert done.code == int(broken), done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("The promise for cat is ")]
    assert line.startswith(f"The promise for cat is {'broken' if broken else 'tenable'} on all: ")
    check = json.loads(Path("out/evaluation_all.json").read_text())["promise"]["check"]
    assert (check["broken"], check["repeated"]) == (broken, repeated)
    assert (check["per_class"][0]["found"], check["per_class"][0]["images"]) == (0 if broken else 20, 20)


def test_without_the_stored_predictions_nothing_is_promised(run: Path, command: Command, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "result.json").unlink()
    new = class_folders(tmp_path / "new", count=20, classes=("cat", "dog"))
    done = command("evaluate", f"checkpoint={copy}/checkpoints/best.ckpt", f"data.root={new}", "recall=0.6")
    assert done.code == 1
    assert "needs the predictions that the run of" in done.err
