"""Archives of runs: reproducible, and safe to unpack wherever they come from."""

import os
import zipfile
from pathlib import Path

import pytest
from reproduction import zip_archive
from reproduction.zip_archive import pack, unpack

from camri_exp.errors import UserError

RESULT = "runs/loss-ce+seed-0/result.json"


def write_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_an_unpacked_archive_has_the_packed_files(tmp_path: Path) -> None:
    files = {RESULT: b"{}", "ranking/loss-ce+seed-5/predictions.npz": bytes(1000)}
    for name, content in files.items():
        (tmp_path / "study" / name).parent.mkdir(parents=True)
        (tmp_path / "study" / name).write_bytes(content)
    pack(tmp_path / "study", tmp_path / "runs.zip")
    unpack(tmp_path / "runs.zip", tmp_path / "again")
    again = {path.relative_to(tmp_path / "again").as_posix(): path for path in (tmp_path / "again").glob("*/*/*")}
    assert {name: path.read_bytes() for name, path in again.items()} == files


def test_the_order_and_the_times_of_the_files_make_no_difference(tmp_path: Path) -> None:
    names = [f"runs/job{k}/result.json" for k in range(20)]
    for folder, order in (("a", names), ("b", names[::-1])):
        for name in order:
            (tmp_path / folder / name).parent.mkdir(parents=True)
            (tmp_path / folder / name).write_text(name)
            os.utime(tmp_path / folder / name, (len(folder + order[0]), 0))
        pack(tmp_path / folder, tmp_path / f"{folder}.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "../result.json",
        "/etc/result.json",
        "runs/../result.json",
        "runs/../../job/result.json",
        "runs/job/../../../result.json",
        "runs/job/result.json\n",
        "runs/.hidden/result.json",
        "runs/job/config.yaml",
        "runs\\job\\result.json",
        "other/job/result.json",
        "runs/job/",
    ],
)
def test_other_paths_are_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "runs.zip", {RESULT: b"{}", name: b"{}"})
    with pytest.raises(UserError, match="expected files of runs only"):
        unpack(archive, tmp_path / "study" / "runs")
    assert [path.name for path in tmp_path.iterdir()] == ["runs.zip"]


def test_an_archive_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "MOST_BYTES", 1000)
    archive = write_zip(tmp_path / "runs.zip", {RESULT: bytes(600), RESULT.replace("seed-0", "seed-1"): bytes(600)})
    with pytest.raises(UserError, match="1,200 bytes, expected at most 1,000"):
        unpack(archive, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_member_that_is_larger_than_it_declares_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "runs.zip", {RESULT: bytes(100_000)})
    content = archive.read_bytes()
    archive.write_bytes(content.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(UserError, match="damaged"):
        unpack(archive, tmp_path / "study")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(compression: int, tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "runs.zip", {RESULT: b"{}"}, compression)
    with pytest.raises(UserError, match="expected files of runs only"):
        unpack(archive, tmp_path / "study")


def test_a_damaged_archive_is_reported_in_one_line(tmp_path: Path) -> None:
    content = write_zip(tmp_path / "runs.zip", {RESULT: os.urandom(5000)}).read_bytes()
    changed = bytearray(content)
    changed[2000] ^= 1
    for damaged in (b"", b"not a zip archive", content[:3000], bytes(changed)):
        (tmp_path / "runs.zip").write_bytes(damaged)
        with pytest.raises(UserError, match=r"is damaged: .* git checkout"):
            unpack(tmp_path / "runs.zip", tmp_path / "study")
