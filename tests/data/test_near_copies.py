"""Near copies of photographs are found, other images are not, and a group of them stays together."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageEnhance

from camri_exp.data.folder import FolderDataModule
from camri_exp.data.near_copies import look_alikes, near_copies, near_pairs, thumbnails
from tests.conftest import Command


def scene(seed: int, size: int = 48) -> Image.Image:
    """Random smooth colours with random blobs."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((2 * size, 2 * size), Image.Resampling.BICUBIC).resize((size, size), Image.Resampling.BOX)


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.resize((48, 48)))).permute(2, 0, 1)[None]


def jpeg(image: Image.Image, quality: int = 40) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


CHANGES = {
    "quality": lambda image: jpeg(image, quality=80),
    "size": lambda image: image.reduce(2),
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changed_images_are_found_and_others_are_not(change: Callable[[Image.Image], Image.Image]) -> None:
    scenes = [scene(seed) for seed in range(60)]
    originals = thumbnails(torch.cat(list(map(tensor, scenes))))
    changed = thumbnails(torch.cat([tensor(change(image)) for image in scenes]))
    pairs = near_pairs(changed, originals)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert len(pairs) >= 54


def test_blank_images_are_no_copies() -> None:
    blank = torch.full((3, 3, 48, 48), 7, dtype=torch.uint8)
    assert len(near_pairs(thumbnails(blank), thumbnails(blank))) == 0


def test_groups_are_named_by_their_first_image() -> None:
    images = torch.cat([tensor(scene(i)) for i in (0, 1, 0, 2, 1)])
    assert look_alikes(images, ["e", "d", "c", "b", "a"]) == ["c", "a", "c", "b", "a"]


def photographs(root: Path) -> Path:
    """Forty scenes of each class, each in two qualities."""
    for label, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for i in range(40):
            scene(100 * label + i).save(root / name / f"{i:02}.png")
            jpeg(scene(100 * label + i), quality=95).save(root / name / f"{i:02} edited.png")
    return root


def loaded(root: Path, **settings: object) -> FolderDataModule:
    data = FolderDataModule(str(root), image_size=32, **settings)
    data.setup()
    return data


def test_show_draws_pairs_of_near_copies(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, torch.Tensor] = {}

    def sheet(rows: list[torch.Tensor], titles: list[str], group: int) -> Figure:
        drawn.update(zip(titles, rows, strict=True))
        return Figure()

    monkeypatch.setattr("camri_exp.figures.contact_sheet.contact_sheet", sheet)
    shown = command("data.show", "data=folder", f"data.root={photographs(tmp_path / 'data')}", "data.image_size=32")
    assert shown.code == 0, shown.err
    row = next(row for title, row in drawn.items() if title.startswith("near copies: test and training, in pairs"))
    first, second = thumbnails((255 * row[0::2]).round().byte()), thumbnails((255 * row[1::2]).round().byte())
    assert {(i, i) for i in range(len(first))} <= set(map(tuple, near_pairs(first, second).tolist()))


def test_near_copies_are_counted_and_can_be_kept_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = photographs(tmp_path)
    data = loaded(root)
    found = near_copies(data.splits)["test"]
    scenes = {name[:6] for name in data.names("train")}
    expected = [i for i, name in enumerate(data.names("test")) if name[:6] in scenes]
    assert sorted(found[:, 0]) == expected != []
    assert f"{len(expected)} of {data.length('test')} test images (" in capsys.readouterr().err
    data = loaded(root, groups="near_copies")
    assert {split: len(found) for split, found in near_copies(data.splits).items()} == {"val": 0, "test": 0}
    assert "near copies" not in capsys.readouterr().err
    assert data.groups("test") == [f"{name[:6]} edited.png" for name in data.names("test")]
