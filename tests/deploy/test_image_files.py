"""Listing and decoding image files."""

import tracemalloc

import pytest
from PIL import Image

from camri_exp.data import image_walk
from camri_exp.data.preprocessing import Preprocessing
from camri_exp.deploy import image_files
from camri_exp.errors import UserError


def ignore(path, error):
    pass


def test_a_folder_of_many_files_is_listed_in_constant_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(image_walk, "BLOCK", 50)
    for i in range(3000):
        (tmp_path / f"{i:05}.png").touch()
    Image.init()  # imports the plugins
    tracemalloc.start()
    count = sum(1 for _ in image_files.find_images(tmp_path, ignore))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 3000
    assert peak < 200_000  # the names alone would take 300,000 bytes


def test_files_come_before_subfolders_and_hidden_files_are_skipped(tmp_path):
    for name in ("b/deep/2.png", "b/1.JPG", "a/3.bmp", "z.png", ".hidden.png", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "deep" / "back").symlink_to(tmp_path)
    names = [path.removeprefix(f"{tmp_path}/") for path in image_files.find_images(tmp_path, ignore)]
    assert names == ["z.png", "a/3.bmp", "b/1.JPG", "b/deep/2.png"]


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UserError, match="there is no such file or folder"):
        image_files.find_images(tmp_path / "nowhere", ignore)


def test_corrupt_image_files_are_reported_and_skipped(tmp_path):
    for i in range(5):
        Image.new("L", (6, 4), i).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_text("not an image")
    reported = []
    paths = [str(tmp_path / f"{i}.png") for i in range(5)]
    batches = list(image_files.image_batches(paths, Preprocessing(8, 1), 3, lambda path, error: reported.append(path)))
    assert [names for names, _ in batches] == [[paths[0], paths[1], paths[3]], [paths[4]]]
    assert [tuple(pixels.shape) for _, pixels in batches] == [(3, 1, 8, 8), (1, 1, 8, 8)]
    assert [int(pixels[-1].max()) for _, pixels in batches] == [3, 4]
    assert reported == [paths[2]]
