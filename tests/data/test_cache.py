"""The cache of decoded images: complete or absent, built once, shared by processes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camri_exp import files
from camri_exp.data import cache, content, image_source
from camri_exp.data.cache import cached
from camri_exp.data.decode import decode_image
from camri_exp.data.image_source import image_files
from camri_exp.data.preprocessing import Preprocessing
from camri_exp.errors import UserError
from tests.helpers.image_files import image_file


def source_of(folder: Path, count: int = 5) -> tuple[image_source.Source, list[Path]]:
    paths = [image_file(folder / f"{i}.png", seed=i) for i in range(count)]
    return image_files(paths, list(range(count)), [path.name for path in paths], Preprocessing(8)), paths


def test_the_cache_contains_the_decoded_images(tmp_path: Path) -> None:
    source, paths = source_of(tmp_path)
    for _ in range(2):  # built, then mapped
        images = cached(source, None, tmp_path)
        for i, path in enumerate(paths):
            np.testing.assert_array_equal(images.pixels[i].numpy(), decode_image(path, Preprocessing(8)))
        assert images.names == [path.name for path in paths]
        assert images.target.tolist() == [0, 1, 2, 3, 4]
        pixels = images.pixels.numpy() / 255
        np.testing.assert_allclose(images.channel_moments[:, :3], pixels.mean((2, 3)), atol=1e-6)
        np.testing.assert_allclose(images.channel_moments[:, 3:], (pixels**2).mean((2, 3)), atol=1e-6)


def test_a_second_use_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, _ = source_of(tmp_path)
    cached(source, None, tmp_path)
    monkeypatch.setattr(image_source, "decode_image", None)
    cached(source, None, tmp_path)


def test_a_changed_image_label_or_size_is_another_cache(tmp_path: Path) -> None:
    source, paths = source_of(tmp_path)
    names = [path.name for path in paths]
    first = cached(source, None, tmp_path).pixels.clone()
    image_file(paths[2], seed=99)
    os.utime(paths[2], ns=(1, 1))  # the times of some file systems are too coarse to differ
    changed = cached(source, None, tmp_path).pixels
    assert not (changed[2] == first[2]).all()
    assert (changed[3] == first[3]).all()
    relabelled = cached(image_files(paths, [4, 3, 2, 1, 0], names, Preprocessing(8)), None, tmp_path)
    assert relabelled.target.tolist() == [4, 3, 2, 1, 0]
    assert cached(image_files(paths, [0] * 5, names, Preprocessing(6)), None, tmp_path).pixels.shape == (5, 3, 6, 6)


@pytest.mark.parametrize("damage", ["short", "flipped", "no facts", "no target", "empty target", "other labels"])
def test_a_damaged_cache_is_built_again(tmp_path: Path, damage: str) -> None:
    source, _ = source_of(tmp_path)
    whole = cached(source, None, tmp_path).pixels.clone()
    folder = next(path for path in (tmp_path / ".camri_cache").iterdir() if path.is_dir())
    pixels = bytearray((folder / "pixels").read_bytes())
    if damage == "short":
        (folder / "pixels").write_bytes(pixels[:-1])
    elif damage == "flipped":
        pixels[100] ^= 255
        (folder / "pixels").write_bytes(pixels)
    elif damage == "empty target":
        (folder / "target.npy").write_bytes(b"")
    elif damage == "other labels":
        np.save(folder / "target.npy", np.array([1, 0, 2, 3, 4]))
    else:
        (folder / ("facts.json" if damage == "no facts" else "target.npy")).unlink()
    again = cached(source, None, tmp_path)
    assert (again.pixels == whole).all()
    assert again.target.tolist() == [0, 1, 2, 3, 4]


def test_the_cache_is_found_by_relative_paths_and_after_a_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, paths = source_of(tmp_path / "pictures")
    names = [path.name for path in paths]
    cached(source, None, tmp_path / "pictures")
    monkeypatch.setattr(image_source, "decode_image", None)
    monkeypatch.chdir(tmp_path)
    for folder in ("pictures", "moved"):
        if folder == "moved":
            Path("pictures").rename("moved")
        again = image_files([Path(folder) / name for name in names], list(range(5)), names, Preprocessing(8))
        assert cached(again, None, Path(folder)).names == names


def test_a_common_cache_folder_separates_data_sets(tmp_path: Path) -> None:
    """Even of images with equal names, sizes and times, as some archives unpack them."""
    sums = []
    for folder, seed in ((tmp_path / "a", 0), (tmp_path / "b", 1)):
        path = image_file(folder / "0.ppm", seed=seed)
        os.utime(path, ns=(1, 1))
        source = image_files([path], [0], ["0.ppm"], Preprocessing(8))
        sums.append(int(cached(source, str(tmp_path / "cache"), folder).pixels.sum()))
    assert sums[0] != sums[1]


def test_a_folder_that_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source, _ = source_of(tmp_path)
    monkeypatch.setattr(files.FileLock, "acquire", full)
    with pytest.raises(UserError, match=r"cannot be written: No space left on device\. Give another folder"):
        cached(source, None, tmp_path)


@pytest.mark.slow
def test_a_build_that_is_killed_leaves_no_incomplete_cache(tmp_path: Path) -> None:
    """With a real process, killed while it decodes."""
    source_of(tmp_path)
    program = f"""
import time
from camri_exp.data import cache, content, image_source
from pathlib import Path
def slow(*arguments):
    print("decoding\\n", end="", flush=True)
    time.sleep(60)
image_source.decode_image = slow
paths = sorted(Path({str(tmp_path)!r}).glob("*.png"))
source = image_source.image_files(paths, list(range(5)), [p.name for p in paths], image_source.Preprocessing(8))
cache.cached(source, None, Path({str(tmp_path)!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"decoding")
    process.send_signal(signal.SIGKILL)
    process.wait()
    paths = sorted(tmp_path.glob("*.png"))
    source = image_files(paths, list(range(5)), [path.name for path in paths], Preprocessing(8))
    assert list((tmp_path / ".camri_cache").glob("*.tmp"))
    images = cached(source, None, tmp_path)
    np.testing.assert_array_equal(images.pixels[4].numpy(), decode_image(paths[4], Preprocessing(8)))
    assert not list((tmp_path / ".camri_cache").glob("*.tmp"))


@pytest.mark.slow
def test_two_processes_that_start_together_build_once(tmp_path: Path) -> None:
    source_of(tmp_path)
    program = f"""
import time
from camri_exp.data import cache, content, image_source
from pathlib import Path
real = image_source.decode_image
def counted(*arguments):
    print("decoded\\n", end="", flush=True)
    time.sleep(0.1)
    return real(*arguments)
image_source.decode_image = counted
paths = sorted(Path({str(tmp_path)!r}).glob("*.png"))
source = image_source.image_files(paths, list(range(5)), [p.name for p in paths], image_source.Preprocessing(8))
print(int(cache.cached(source, None, Path({str(tmp_path)!r})).pixels.sum()))
"""
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outs = [process.communicate(timeout=60)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(out.count("decoded") for out in outs) == 5
    assert outs[0][-1] == outs[1][-1]


def test_the_size_of_a_large_cache_is_said_before_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cache, "ANNOUNCED", 0.0001)
    source, _ = source_of(tmp_path)
    cached(source, None, tmp_path)
    expected = f"MiB in {tmp_path / '.camri_cache'}; data.cache_dir=DIR puts them elsewhere.\n"
    assert expected in capsys.readouterr().err
    cached(source, None, tmp_path)
    assert capsys.readouterr().err == ""


def test_a_full_disk_leaves_no_incomplete_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source, _ = source_of(tmp_path)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"\(0 MiB\) cannot be written to .*: No space left on device. Free some space"):
        cached(source, None, tmp_path)
    assert not [path for path in (tmp_path / ".camri_cache").iterdir() if path.suffix != ".lock"]


def test_corrupt_image_files_are_named_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, paths = source_of(tmp_path)
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    paths[3].write_text("not an image")
    with pytest.raises(
        UserError, match=r"2 of 5 image files cannot be used: .*1\.png \(.*\), .*3\.png \(not an image, or.*\)\. Fix or"
    ):
        cached(source, None, tmp_path)
    images = cached(source, None, tmp_path, on_error="skip")
    assert "2 of 5 image files cannot be used" in capsys.readouterr().err
    assert images.split(range(5)).index.tolist() == [0, 2, 4]


def test_any_error_of_pillow_means_a_corrupt_file(tmp_path: Path) -> None:
    """For a DDS of an unknown pixel format it is a NotImplementedError."""
    source, paths = source_of(tmp_path)
    Image.new("RGB", (4, 4)).save(paths[2], format="DDS")
    damaged = bytearray(paths[2].read_bytes())
    damaged[80:84] = bytes(4)  # the flags of the pixel format
    paths[2].write_bytes(damaged)
    source = image_files(paths, list(range(5)), [path.name for path in paths], Preprocessing(8))
    with pytest.raises(UserError, match=r"1 of 5 image files cannot be used: .*2\.png"):
        cached(source, None, tmp_path)


def test_a_decompression_bomb_is_a_corrupt_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, _ = source_of(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12 * 10 // 2 - 1)
    with pytest.raises(UserError, match="5 of 5 image files cannot be used"):
        cached(source, None, tmp_path)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="reads the memory maps of Linux")
def test_the_pixels_are_shared_memory(tmp_path: Path) -> None:
    """And no memory is reserved for a copy: Linux would refuse a cache that is larger than the memory."""
    paths = [image_file(tmp_path / "0.png")] * 200
    pixels = cached(image_files(paths, [0] * 200, list("x" * 200), Preprocessing(64)), None, tmp_path).pixels
    assert pixels.sum() > 0  # every page is read
    mapping = Path("/proc/self/smaps").read_text().partition(str(tmp_path / ".camri_cache"))[2].splitlines()[1:25]
    fields = dict(line.split(":", 1) for line in mapping if ":" in line)
    kilobytes = {key: int(value.split()[0]) for key, value in fields.items() if value.endswith(" kB")}
    assert kilobytes["Rss"] >= pixels.nbytes // 1024
    assert kilobytes["Anonymous"] == 0
    assert " ac" not in fields["VmFlags"]  # accountable: counted as memory of the machine


def test_a_read_only_data_folder_is_cached_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, _ = source_of(tmp_path / "pictures")
    monkeypatch.setattr(cache, "user_cache_dir", lambda _: str(tmp_path / "mine"))
    monkeypatch.setattr(os, "access", lambda path, _: "mine" in str(path))  # root may write anywhere
    cached(source, None, tmp_path / "pictures")
    assert list((tmp_path / "mine").glob("*/pixels"))


def test_the_checksum_of_a_large_file_reads_samples_from_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SAMPLE_BYTES", 16)
    monkeypatch.setattr(cache, "SAMPLES", 4)
    for name in ("target.npy", "moments.npy"):
        (tmp_path / name).touch()
    path = tmp_path / "pixels"

    def checksum(position: int) -> int:
        content = bytearray(1000)
        content[position] = 1
        path.write_bytes(content)
        return cache._checksum(tmp_path)

    assert len({checksum(0), checksum(999)}) == 2


@pytest.fixture
def oriented(tmp_path: Path) -> Path:
    left = np.zeros((4, 8, 3), np.uint8)
    left[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown rotated by 90 degrees clockwise
    path = tmp_path / "turned.png"
    Image.fromarray(left).save(path, exif=exif)
    return path


def test_decoding_rotates_by_the_exif_orientation(oriented: Path) -> None:
    pixels = decode_image(oriented, Preprocessing(4))
    assert pixels[0, 0].mean() > 250
    assert pixels[0, -1].mean() < 5


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1", "CMYK", "I;16"])
def test_decoding_supports_every_mode(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.tiff"
    if mode == "I;16":
        Image.fromarray((np.arange(64, dtype=np.uint16) * 1024).reshape(8, 8)).save(path)
    else:
        image_file(path, mode=mode, size=(8, 8))
    for channels in (1, 3):
        pixels = decode_image(path, Preprocessing(8, channels))
        assert pixels.shape == (channels, 8, 8)
        assert pixels.dtype == np.uint8
        assert pixels.max() > 200
        assert pixels.min() < 60


def test_facts_are_plain_json(tmp_path: Path) -> None:
    source, _ = source_of(tmp_path)
    cached(source, None, tmp_path)
    (facts,) = (tmp_path / ".camri_cache").glob("*/facts.json")
    assert set(json.loads(facts.read_text())) == {"names", "broken", "reasons", "note", "checksum"}


def rewritten(path: Path, seed: int) -> None:
    """Another image of the same size in bytes, with the time of the first."""
    before = path.stat()
    image_file(path, seed=seed)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_changed_file_of_equal_size_and_time_is_decoded_again(tmp_path: Path) -> None:
    paths = [image_file(tmp_path / f"{i}.ppm", seed=i) for i in range(5)]
    source = image_files(paths, list(range(5)), [path.name for path in paths], Preprocessing(8))
    cached(source, None, tmp_path)
    time.sleep(0.02)  # the clock of a file system is coarse
    rewritten(paths[2], seed=99)
    again = cached(source, None, tmp_path).pixels
    for i, path in enumerate(paths):
        np.testing.assert_array_equal(again[i].numpy(), decode_image(path, Preprocessing(8)))


def test_contents_are_read_only_where_files_may_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, paths = source_of(tmp_path)
    cached(source, None, tmp_path)
    read: list[Path] = []
    real = content.checksum
    monkeypatch.setattr(content, "checksum", lambda path: read.append(path) or real(path))
    monkeypatch.setattr(image_source, "decode_image", None)
    time.sleep(0.02)
    paths[3].chmod(0o600)  # another inode time, the same content
    for _ in range(2):  # and the second time it is known to be unchanged
        cached(source, None, tmp_path)
    assert read == [paths[3]]


def test_the_checksum_of_a_large_image_covers_both_ends_and_the_middle(tmp_path: Path) -> None:
    values = set()
    for position in (None, 0, 150_000, 299_999):
        data = bytearray(300_000)
        if position is not None:
            data[position] = 1
        (tmp_path / "0.png").write_bytes(data)
        values.add(content.checksum(tmp_path / "0.png"))
    assert len(values) == 4
