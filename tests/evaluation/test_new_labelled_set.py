"""``evaluate checkpoint=… data.root=NEW``: a labelled set that was collected after training."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from camri_exp.evaluation.operating_point import bias_of_checkpoint
from camri_exp.evaluation.predictions import from_checkpoint
from tests.conftest import Command
from tests.helpers.image_files import class_folders
from tests.helpers.runs import CLASSES, trained_on_folders


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_on_folders(tmp_path_factory.mktemp("labelled"), 30)


def evaluation(command: Command, run: Path, *arguments: str) -> dict:
    done = command("evaluate", f"checkpoint={run}/checkpoints/best.ckpt", "figures=false", "output=out", *arguments)
    assert done.code == 0, done.err
    return json.loads(Path("out/evaluation_all.json").read_text())


def test_every_image_of_a_new_set_with_some_of_the_classes(run: Path, command: Command, tmp_path: Path) -> None:
    new = class_folders(tmp_path / "new", count=7, classes=("dog", "cat"))
    best = run / "checkpoints" / "best.ckpt"
    model = from_checkpoint(best, "val", "all", root=str(new))
    assert model.class_names == list(CLASSES)
    assert np.bincount(model.splits["all"].target, minlength=3).tolist() == [7, 7, 0]
    stored = np.load(run / "predictions.npz")
    np.testing.assert_array_equal(model.splits["val"].scores, stored["val_scores"])
    written = evaluation(command, run, f"data.root={new}", "split=all")
    assert written["threshold"]["bias"] == pytest.approx(bias_of_checkpoint(best))


@pytest.mark.parametrize("layout", ["test folder", "CSV"])
def test_a_set_that_is_all_test(run: Path, tmp_path: Path, layout: str) -> None:
    class_folders(tmp_path / "new" / "test", count=5, classes=("cat", "mouse"))
    root = tmp_path / "new"
    if layout == "CSV":
        rows = [f"test/{name}/{i:03}.png,{name},test" for name in ("cat", "mouse") for i in range(5)]
        root = root / "list.csv"
        root.write_text("\n".join(["path,label,split", *rows]))
    for split in ("test", "all"):
        model = from_checkpoint(run / "checkpoints" / "best.ckpt", "val", split, root=str(root))
        assert np.bincount(model.splits[split].target, minlength=3).tolist() == [5, 0, 5]


def test_wrong_sets_are_refused(run: Path, command: Command, tmp_path: Path) -> None:
    new = class_folders(tmp_path / "new", count=3, classes=("cat", "yeti"))
    checkpoint = f"checkpoint={run}/checkpoints/best.ckpt"
    refused = command("evaluate", checkpoint, f"data.root={new}", "split=all")
    assert refused.code == 1
    assert "has the class 'yeti'; the model was trained on 'cat', 'dog', 'mouse'. Give data of these" in refused.err
    shutil.rmtree(new / "yeti")
    (new / "test").mkdir()
    (new / "cat").rename(new / "test" / "cat")
    refused = command("evaluate", checkpoint, f"data.root={new}", "split=train")
    assert "has no image of split=train. Evaluate every image: split=all" in refused.err


def test_all_images_of_the_data_of_the_run(run: Path, command: Command) -> None:
    assert evaluation(command, run, "split=all")["images"] == 90
