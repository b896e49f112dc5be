"""Images decoded for every batch: the numbers of the cache, without its pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from camri_exp.data import image_source, on_the_fly
from camri_exp.data.folder import FolderDataModule
from camri_exp.errors import UserError
from camri_exp.identity import config_hash
from camri_exp.stored_config import load_run_config
from tests.helpers.image_files import class_folders, image_file
from tests.helpers.runs import mixed_images, trained

CROPS = {"stored_size": 20, "augmentation": {"resized_crop": 0.5}}


def data_of(root: Path, **settings: Any) -> FolderDataModule:
    data = FolderDataModule(str(root), image_size=12, batch_size=7, **settings)
    data.setup()
    return data


@pytest.mark.parametrize("settings", [{}, CROPS, {"channels": 1, "resize": "crop", "workers": 1}])
def test_batches_and_statistics_are_those_of_the_cache(tmp_path: Path, settings: dict[str, Any]) -> None:
    root = mixed_images(tmp_path / "data")
    cached, streamed = (data_of(root, cache=cache, **settings) for cache in (True, False))
    assert (cached.mean, cached.std, cached.fingerprint) == (streamed.mean, streamed.std, streamed.fingerprint)
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        batches = [list(getattr(data, loader)()) for data in (cached, streamed)]
        assert len(batches[0]) == len(batches[1]) > 0
        for one, other in zip(*batches, strict=True):
            assert all(map(torch.equal, one, other))
    for split in ("train", "test"):
        assert torch.equal(cached.images(split), streamed.images(split))
        assert torch.equal(cached.images(split, [3, 1]), streamed.images(split, [3, 1]))


def test_all_but_the_pixels_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass over the files serves later runs too."""
    root = class_folders(tmp_path / "data")
    first = data_of(root, cache=False)
    (pixels,) = (root / ".camri_cache").glob("*/pixels")
    assert pixels.stat().st_size == 0
    monkeypatch.setattr(image_source, "decode_image", None)
    assert data_of(root, cache=False).mean == first.mean
    monkeypatch.undo()
    image_file(root / first.names("train")[0], seed=77)
    assert data_of(root, cache=False).mean != first.mean


def test_an_access_decodes_its_own_images_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    data = data_of(class_folders(tmp_path / "data"), cache=False)
    decode = on_the_fly.decode_image

    def counted(path: str, *rest: Any) -> Any:
        decoded.append(path)
        return decode(path, *rest)

    monkeypatch.setattr(on_the_fly, "decode_image", counted)
    next(iter(data.val_dataloader()))
    assert [path.removeprefix(f"{tmp_path}/data/") for path in sorted(decoded)] == sorted(data.names("val")[:7])


def test_copies_are_found_and_near_copies_are_said_to_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = class_folders(tmp_path / "data")
    for name in data_of(root).names("test"):
        (root / name).write_bytes((root / data_of(root).names("train")[0]).read_bytes())
        break
    capsys.readouterr()
    data_of(root, cache=False)
    err = capsys.readouterr().err
    assert "1 test images are training images too" in err
    assert "data.cache=false: near copies of training images are not searched." in err
    with pytest.raises(ValueError, match="cache=false with groups=near_copies; near copies are searched among decoded"):
        FolderDataModule(str(root), cache=False, groups="near_copies")


def test_files_that_cannot_be_used_are_found_before_training(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data")
    (root / "cat" / "000.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1 of 60 image files cannot be used: .*cat/000\.png \(not an image"):
        data_of(root, cache=False)
    assert sum(map(data_of(root, cache=False, on_error="skip").length, ("train", "val", "test"))) == 59


def test_a_file_that_disappears_during_a_run(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data")
    data = data_of(root, cache=False)
    (root / data.names("test")[0]).unlink()
    with pytest.raises(
        UserError, match=r"png cannot be read any more: No such file or directory\. The images must not"
    ):
        data.images("test")


@pytest.mark.slow
def test_a_run_has_the_same_predictions_and_the_same_identity(tmp_path: Path) -> None:
    root = mixed_images(tmp_path / "data")
    runs = [
        trained(
            tmp_path / name, "data=folder", f"data.root={root}", "data.image_size=16", "important_class=dark",
            "trainer.max_epochs=2", "model.width=0.5", "data.batch_size=8", f"data.cache={name}",
        )
        for name in ("true", "false")
    ]  # fmt: skip
    cached, streamed = (np.load(run / "predictions.npz") for run in runs)
    assert set(cached.files) == set(streamed.files)
    for key in cached.files:
        np.testing.assert_array_equal(cached[key], streamed[key])
    first, second = (config_hash(load_run_config(run)) for run in runs)
    assert first == second
