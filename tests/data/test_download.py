"""Archives from a local server that resumes, breaks the connection, or sends something else."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from camri_exp.data import download
from camri_exp.data.download import Archive, fetch_and_unpack, unpack
from camri_exp.errors import UserError


class Server(ThreadingHTTPServer):
    """Serves ``content`` with ranges, and closes the connection after ``breaks_after`` bytes."""

    content = b""
    breaks_after: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.breaks_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def zipped(path: Path, *names: str, compression: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in names:
            archive.writestr(name, f"content of {name}" * 100)
    return path.read_bytes()


def archive_of(server: Server, tmp_path: Path) -> Archive:
    server.content = zipped(tmp_path / "made.zip", "data/one.txt", "data/two.txt")
    url = f"http://127.0.0.1:{server.server_address[1]}/pictures.zip"
    return Archive(url, hashlib.md5(server.content).hexdigest())


def test_a_download_is_unpacked_and_the_archive_removed(server: Server, tmp_path: Path) -> None:
    fetch_and_unpack({"data": archive_of(server, tmp_path)}, tmp_path / "root")
    assert (tmp_path / "root" / "data" / "two.txt").read_text().startswith("content of data/two.txt")
    assert visible(tmp_path / "root") == ["data"]


def visible(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != ".download.lock"]


def test_processes_that_start_together_download_once(server: Server, tmp_path: Path) -> None:
    archive = archive_of(server, tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fetch_and_unpack({"data": archive}, tmp_path / "root"), range(4)))
    assert server.ranges == [None]
    assert visible(tmp_path / "root") == ["data"]


def test_data_that_exists_may_be_in_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(download, "locked", None)
    fetch_and_unpack({"data": Archive("http://127.0.0.1:9/a.zip")}, tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/root cannot be written: Not a directory"):
        fetch_and_unpack({"data": Archive("http://127.0.0.1:9/a.zip")}, tmp_path / "file" / "root")


def test_an_interrupted_download_is_resumed(server: Server, tmp_path: Path) -> None:
    archive, server.breaks_after = archive_of(server, tmp_path), 100
    with pytest.raises(UserError, match="the connection broke after 100 of"):
        fetch_and_unpack({"data": archive}, tmp_path / "root")
    server.breaks_after = None
    fetch_and_unpack({"data": archive}, tmp_path / "root")
    assert server.ranges == [None, "bytes=100-"]
    assert (tmp_path / "root" / "data" / "one.txt").exists()


def test_a_complete_partial_file_is_used(server: Server, tmp_path: Path) -> None:
    archive = archive_of(server, tmp_path)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "pictures.zip.part").write_bytes(server.content)
    fetch_and_unpack({"data": archive}, tmp_path / "root")
    assert (tmp_path / "root" / "data" / "one.txt").exists()


def test_a_wrong_sum_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    archive = Archive(archive_of(server, tmp_path).url, "0" * 32)
    with pytest.raises(UserError, match=r"its MD5 sum is not 0{32}\. Start again"):
        fetch_and_unpack({"data": archive}, tmp_path / "root")
    assert not visible(tmp_path / "root")


def test_a_file_that_is_not_a_zip_is_refused(server: Server, tmp_path: Path) -> None:
    archive = Archive(archive_of(server, tmp_path).url)
    server.content = b"<html>moved</html>"
    with pytest.raises(
        UserError, match=r"downloading .*pictures\.zip failed: File is not a zip file\. It was removed; start again"
    ):
        fetch_and_unpack({"data": archive}, tmp_path / "root")
    assert not visible(tmp_path / "root")  # otherwise every start would fail on it


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_zip_without_a_known_sum_is_removed(server: Server, tmp_path: Path, compression: int) -> None:
    archive = Archive(archive_of(server, tmp_path).url)
    server.content = zipped(tmp_path / "made.zip", "data/one.txt", compression=compression)
    position = server.content.index(b"data/one.txt") + len("data/one.txt")
    server.content = server.content[:position] + b"X" + server.content[position + 1 :]
    with pytest.raises(UserError, match=r"pictures\.zip failed: .*It was removed; start again"):
        fetch_and_unpack({"data": archive}, tmp_path / "root")
    assert not (tmp_path / "root" / "pictures.zip").exists()


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"downloading http://127\.0\.0\.1:9/a\.zip failed: .*refused"):
        fetch_and_unpack({"data": Archive("http://127.0.0.1:9/a.zip")}, tmp_path)


def test_an_archive_left_by_a_killed_unpacking_is_unpacked_again(tmp_path: Path) -> None:
    archive = Archive("http://127.0.0.1:9/pictures.zip")
    (tmp_path / "data").mkdir()
    assert archive.is_unpacked(tmp_path, "data")
    zipped(tmp_path / "pictures.zip", "data/one.txt")
    assert not archive.is_unpacked(tmp_path, "data")
    fetch_and_unpack({"data": archive}, tmp_path)
    assert (tmp_path / "data" / "one.txt").exists()
    assert archive.is_unpacked(tmp_path, "data")


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "data/../../evil.txt"])
def test_a_zip_with_a_path_outside_its_folder_is_not_unpacked(tmp_path: Path, name: str) -> None:
    zipped(tmp_path / "bad.zip", "good.txt", name)
    with pytest.raises(UserError, match=r"was refused: its path '.*evil.txt' is outside the folder"):
        unpack(tmp_path / "bad.zip", tmp_path / "root")
    assert not (tmp_path / "root" / "good.txt").exists()
    assert not (tmp_path / "evil.txt").exists()
