"""Which files are images: the same for training and prediction; what is left out is counted."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from camri_exp.data.folder import FolderDataModule
from camri_exp.data.folder_list import list_folder
from camri_exp.data.image_walk import FOREIGN, LeftOut, readable_suffixes
from camri_exp.deploy.image_files import find_images
from camri_exp.errors import UserError
from tests.helpers.image_files import class_folders, image_file, split_folders


def refuse(path: str, error: BaseException) -> None:
    raise AssertionError(f"{path}: {error}")


def both(root: Path) -> list[str]:
    """The images that training reads, after checking that prediction reads the same ones."""
    names = sorted(file.path for file in list_folder(root))
    assert sorted(os.path.relpath(path, root) for path in find_images(root, refuse)) == names
    return names


@pytest.mark.parametrize(
    "folder", [".ipynb_checkpoints", ".hidden", *sorted(FOREIGN), "__MACOSX", "@eaDir", "@Recycle", "$RECYCLE.BIN"]
)
def test_hidden_and_foreign_folders_are_not_read(
    tmp_path: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = class_folders(tmp_path, count=3)
    names = both(root)
    image_file(root / "cat" / folder / "000-checkpoint.png")
    image_file(root / "cat" / "deep" / folder / "below" / "1.png")
    image_file(root / folder / "cat" / "000.png")
    image_file(root / "cat" / "._000.png")
    (root / "cat" / "Thumbs.db").touch()
    assert both(root) == names
    assert f"{root}: left out folders {folder}: 2." in capsys.readouterr().err


def test_other_suffixes_are_counted_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = class_folders(tmp_path, count=2)
    names = both(root)
    for name in ("a.HEIC", "b.HEIC", "c.h5", "d.pdf", "e.mpg", "without"):
        (root / "cat" / name).touch()
    assert both(root) == names
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{root}: left out .HEIC: 2 files, ")
    for part in (".h5: 1 file", ".pdf: 1 file", ".mpg: 1 file", "(no suffix): 1 file"):
        assert part in line


def test_suffixes_are_those_of_formats_that_pillow_decodes(tmp_path: Path) -> None:
    assert {".jpg", ".png", ".tif", ".webp", ".bmp", ".gif", ".ppm", ".mpo"} <= readable_suffixes()
    assert not {".h5", ".hdf", ".pdf", ".mpg", ".mpeg", ".eps", ".ps", ".grib", ".bufr", ".wmf"} & readable_suffixes()
    Image.new("L", (4, 4)).save(tmp_path / "0.png")
    assert len(list(find_images(tmp_path, refuse))) == 1


@pytest.fixture(params=["FIFO", "socket", "broken link", "link to a device"])
def special(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], None]]:
    opened = []

    def make(path: Path) -> None:
        if request.param == "FIFO":
            os.mkfifo(path)
        elif request.param == "socket":
            opened.append(socket.socket(socket.AF_UNIX))
            here = os.getcwd()
            os.chdir(path.parent)  # the path of a socket has at most 107 bytes
            opened[0].bind(path.name)
            os.chdir(here)
        else:
            path.symlink_to("nothing" if request.param == "broken link" else "/dev/zero")

    yield make
    for item in opened:
        item.close()


def test_special_files_are_never_opened(
    tmp_path: Path, special: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    root = class_folders(tmp_path, count=3)
    names = both(root)
    special(root / "cat" / "x.png")
    assert both(root) == names
    assert "left out pipes, sockets, devices and broken links: 1." in capsys.readouterr().err


def test_a_pipe_in_a_csv_or_given_to_predict_is_refused(tmp_path: Path) -> None:
    for name in ("0.png", "2.png", "3.png"):
        image_file(tmp_path / name)
    os.mkfifo(tmp_path / "1.png")
    rows = ["path,label,split", "0.png,a,train", "1.png,b,train", "2.png,a,val", "3.png,a,test"]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    with pytest.raises(UserError, match=r"1\.png is not a regular file"):
        FolderDataModule(str(tmp_path / "list.csv")).load()
    with pytest.raises(UserError, match=r"1\.png is neither a regular file nor a folder"):
        find_images(tmp_path / "1.png", refuse)


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "data", count=3)
    class_folders(tmp_path / "more", count=4)
    (root / "cat" / "more").symlink_to(tmp_path / "more" / "cat")
    (root / "dog" / "again").symlink_to(root / "dog")
    (root / "bird").symlink_to(tmp_path / "more" / "dog")
    names = both(root)
    assert len(names) == 3 + 4 + 3 + 4
    assert sum(name.startswith("cat/more/") for name in names) == 4
    assert sum(name.startswith("bird/") for name in names) == 4


def test_a_folder_has_one_name_whatever_links_to_it(tmp_path: Path) -> None:
    """Otherwise a link whose name comes first would rename images, which changes their split."""
    root = class_folders(tmp_path, count=2)
    image_file(root / "cat" / "deep" / "1.png")
    names = both(root)
    (root / "cat" / "a link").symlink_to("deep")
    assert both(root) == names


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("cat/up", "."),
        ("cat/up", ".."),
        ("cat/other", "dog"),
        ("cat/deep/other", "dog/deep"),
        ("mouse", "dog"),
        ("mouse", "."),
    ],
)
def test_a_link_out_of_its_class_is_refused(tmp_path: Path, link: str, target: str) -> None:
    root = class_folders(tmp_path / "data", count=2)
    for name in ("cat", "dog"):
        image_file(root / name / "deep" / "1.png")
    (root / link).symlink_to((root / target).resolve())
    with pytest.raises(UserError, match=r" is a link to .*Remove the link: an image belongs to one class\.") as refused:
        list_folder(root)
    assert f"{root / link} is a link to" in str(refused.value)


def test_a_link_to_another_split_is_refused(tmp_path: Path) -> None:
    root = split_folders(tmp_path)
    (root / "train" / "cat" / "more").symlink_to(root / "test" / "cat")
    with pytest.raises(UserError, match=r"more is a link to the class folder .*test/cat\. Remove the link"):
        list_folder(root)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, real = class_folders(tmp_path, count=2), os.scandir

    def denied(path: str | Path) -> object:
        if str(path).endswith("dog"):  # root may read any folder, hence no chmod
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(UserError, match=r"dog cannot be read: Permission denied\.$"):
        list_folder(root)


def test_an_empty_class_says_what_was_left_out(tmp_path: Path) -> None:
    root = class_folders(tmp_path, count=2)
    (root / "mouse").mkdir()
    (root / "mouse" / "1.HEIC").touch()
    with pytest.raises(UserError, match=r"mouse contains no images \(left out \.HEIC: 1 file\)\. Remove the folder"):
        list_folder(root)


def test_nothing_left_out_says_nothing() -> None:
    assert not LeftOut()
    assert str(LeftOut()) == ""
