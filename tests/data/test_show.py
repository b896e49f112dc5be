"""The contact sheet: the training images as the model sees them, one strip per class."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from camri_exp.data.show import _row
from camri_exp.figures.contact_sheet import contact_sheet
from tests.conftest import Command
from tests.helpers import image_files


def test_a_sheet_of_a_folder_of_images(command: Command, tmp_path: Path) -> None:
    root = image_files.split_folders(tmp_path / "a, b=c")
    done = command("data.show", "data=folder", f"data.root={root}", "data.image_size=12", "output=my sheet, 1.png")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].split() == ["class", "train", "val", "test"]
    assert (
        done.out.splitlines()[-1] == f"2 classes, each image first without augmentation: {tmp_path / 'my sheet, 1.png'}"
    )
    with Image.open(tmp_path / "my sheet, 1.png") as sheet:
        assert len(np.unique(np.asarray(sheet.convert("RGB")).reshape(-1, 3), axis=0)) > 500
    assert {path.name for path in tmp_path.iterdir()} == {"a, b=c", "my sheet, 1.png"}


def test_each_image_is_followed_by_its_augmented_variants() -> None:
    from camri_exp.data.digits import DigitsDataModule

    data = DigitsDataModule(image_size=8, augmentation={"brightness": 0.5})
    data.setup()
    torch.manual_seed(0)
    row = _row(data, label=8, images=2, variants=3)
    assert row.shape == (8, 1, 8, 8)
    eights = data.images("train", torch.nonzero(data.splits["train"].target == 8).flatten().tolist()) / 255
    for first in (0, 4):
        assert (eights - row[first]).abs().amax(dim=(1, 2, 3)).min() < 1e-5
        ratio = row[first + 1 : first + 4].sum(dim=(1, 2, 3)) / row[first].sum()
        assert ((ratio > 0.45) & (ratio < 1.5)).all()
        assert len(set(ratio.tolist())) == 3


def test_wider_gaps_separate_the_groups_of_images() -> None:
    black = torch.zeros(4, 1, 4, 4)
    (axes,) = contact_sheet([black], ["zero"], group=2).axes
    (strip,) = axes.images
    is_white = np.asarray(strip.get_array())[0, :, 0] == 1
    assert "".join("-#"[int(white)] for white in is_white) == "----#----###----#----"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["output=sheet.txt"], "output=sheet.txt cannot be written: Format 'txt' is not supported"),
        (["output=no/where.png"], "output=no/where.png cannot be written: "),
        (["images=0"], "images=0: expected a whole number from 1 to 1000."),
        (["data=gtrsb"], "Could not find 'data/gtrsb'"),
        (["data=folder", "data.root=nowhere"], "data.root=nowhere: there is no such folder or CSV file."),
    ],
)
def test_errors(command: Command, tmp_path: Path, overrides: list[str], message: str) -> None:
    done = command("data.show", *overrides)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.iterdir())
