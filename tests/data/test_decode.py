"""Image files to pixels: nothing is clipped, wrapped or made black, and other programs see the same pixels."""

import re
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from camri_exp.data.decode import CORRUPT, UnknownRangeError, dark_images, decode_image, pixel_limit, reason
from camri_exp.data.folder import FolderDataModule
from camri_exp.data.preprocessing import Preprocessing, Resize
from camri_exp.deploy.batch_predict import PredictionCounts
from camri_exp.deploy.image_files import image_batches
from camri_exp.deploy.published import check_preprocessing, preprocess
from camri_exp.errors import UserError
from tests.helpers.image_files import class_folders

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(0)


def saved(path: Path, pixels: npt.NDArray[Any], mode: str | None = None, **settings: Any) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **settings)
    return path


def smooth(height: int, width: int) -> npt.NDArray[np.uint8]:
    """A photograph-like RGB image: noise enlarged by a smooth filter."""
    noise = RANDOM.integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bit_grey_images_have_the_pixels_of_their_8_bit_version(tmp_path: Path, suffix: str, channels: int) -> None:
    grey = RANDOM.integers(0, 256, (8, 8), dtype=np.uint8)
    eight = decode_image(saved(tmp_path / "8.png", grey), Preprocessing(8, channels))
    sixteen = decode_image(saved(tmp_path / f"16.{suffix}", grey.astype(np.uint16) * 257), Preprocessing(8, channels))
    np.testing.assert_array_equal(sixteen, eight)


def test_16_bit_values_in_32_bits_are_accepted(tmp_path: Path) -> None:
    values = np.array([[0, 257], [65535, 32768]], dtype=np.int32)
    assert decode_image(saved(tmp_path / "32.tiff", values), Preprocessing(2, 1)).tolist() == [[[0, 1], [255, 128]]]


UNKNOWN = {
    "float 0..1": np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8),
    "float 0..255": np.linspace(0, 255, 64, dtype=np.float32).reshape(8, 8),
    "CT values": np.linspace(-1000, 3000, 64).astype(np.int32).reshape(8, 8),
    "CT values in 16 bits": np.linspace(-1000, 3000, 64).astype(np.int16).reshape(8, 8),
    "above 16 bits": np.linspace(0, 70_000, 64).astype(np.int32).reshape(8, 8),
}


def unknown(path: Path, kind: str) -> Path:
    values = UNKNOWN[kind]
    if values.dtype == np.int16:  # Pillow does not write signed 16-bit images: an unsigned one, with the tag changed
        saved(path, values.view(np.uint16), tiffinfo={339: 2})
        return path
    return saved(path, values)


@pytest.mark.parametrize("kind", UNKNOWN)
def test_values_without_an_agreed_range_are_refused_in_training_and_prediction(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = unknown(class_folders(tmp_path, count=12) / "cat" / "x.tiff", kind)
    with pytest.raises(UnknownRangeError):
        decode_image(path, Preprocessing(8, 1))
    with pytest.raises(UserError, match=r"1 of 25 .*cat/x\.tiff \(.*convert it to 8 or 16 bits per channel\)\. Fix or"):
        FolderDataModule(str(tmp_path), image_size=8).load()
    counts = PredictionCounts()
    assert not list(image_batches([str(path)], Preprocessing(8), 4, counts.skip))
    assert counts.unreadable == [str(path)]
    assert "convert it to 8 or 16 bits" in capsys.readouterr().err


def test_16_bit_images_that_use_a_part_of_the_range_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = class_folders(tmp_path, count=12)
    saved(root / "cat" / "12 bits.png", np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8))
    for _ in range(2):  # also when the images come from the cache
        FolderDataModule(str(root), image_size=8).load()
        assert "1 16-bit images have values up to 4095 of 65535, so that the brightest pixel is 16 of 255" in (
            capsys.readouterr().err
        )
    maxima: list[int] = []
    list(image_batches([str(root / "cat" / "12 bits.png")], Preprocessing(8), 4, lambda *_: None, maxima))
    assert "up to 4095" in str(dark_images(maxima))
    assert dark_images([]) is None
    assert dark_images([4095, 65535]) is None


RANGES = {
    "float 0..1": (0, 1),
    "float 0..255": (0, 255),
    "CT values": (-1000, 3000),
    "CT values in 16 bits": (-1000, 3000),
    "above 16 bits": (0, 70_000),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_given_range_becomes_0_to_255(tmp_path: Path, kind: str, channels: int) -> None:
    """The values of each image are evenly spaced over its range, and so are the pixels, to within rounding."""
    preprocessing = Preprocessing(8, channels, range=RANGES[kind])
    pixels = decode_image(path := unknown(tmp_path / "x.tiff", kind), preprocessing)
    for channel in pixels:
        assert abs(channel.flatten() - np.linspace(0, 255, 64)).max() <= (0.51 if "float" in kind else 0.58)
    check_preprocessing([path], pixels[None], preprocessing)


def test_values_outside_of_the_range_are_clipped(tmp_path: Path) -> None:
    values = np.array([[-2000, -1000, -999], [1000, 2984, 2993], [3000, 3001, 9000]], dtype=np.int32)
    path = saved(tmp_path / "x.tiff", values)
    pixels = decode_image(path, Preprocessing(3, 1, range=(-1000, 3000)))
    # 2000 * 255 / 4000 = 127.5 is rounded to the even number, 3984 * 255 / 4000 = 253.98, 3993 * 255 / 4000 = 254.55
    assert pixels.tolist() == [[[0, 0, 0], [128, 254, 255], [255, 255, 255]]]


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_12_bits_in_16_have_the_pixels_of_their_8_bit_version(tmp_path: Path, suffix: str) -> None:
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16)
    path = saved(tmp_path / f"12.{suffix}", (grey * (4095 / 255)).round().astype(np.uint16))
    maxima: list[int] = []
    assert (decode_image(path, Preprocessing(16, 1, range=(0, 4095)), maxima) == grey).all()
    assert not maxima  # nothing to report
    assert dark_images([4095]) is not None


def test_the_range_leaves_8_bit_images_alone(tmp_path: Path) -> None:
    paths = [*files(tmp_path).values()]
    paths.remove(tmp_path / "16.png")
    for path in paths:
        plain, ranged = (decode_image(path, Preprocessing(16, range=limits)) for limits in (None, (0.0, 1.0)))
        np.testing.assert_array_equal(plain, ranged)


def test_all_16_bit_values_are_divided_by_257(tmp_path: Path) -> None:
    values = np.arange(65536).reshape(256, 256)
    path = saved(tmp_path / "all.png", values.astype(np.uint16))
    np.testing.assert_array_equal(decode_image(path, Preprocessing(256, 1))[0], np.round(values / 257))


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_have_the_same_pixels(tmp_path: Path, order: str) -> None:
    """A hand-made TIFF of one strip: Pillow opens it in mode I;16 or I;16B."""
    mark, tags = b"II" if order == "<" else b"MM", [(256, 2), (257, 2), (258, 16), (262, 1), (273, 110), (279, 8)]
    entries = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    head = mark + struct.pack(f"{order}HIH", 42, 8, len(tags)) + entries + bytes(4)
    path = tmp_path / "x.tiff"
    path.write_bytes(head.ljust(110, b"\0") + np.array([0, 257, 4095, 65535], dtype=f"{order}u2").tobytes())
    assert Image.open(path).mode == ("I;16" if order == "<" else "I;16B")
    assert decode_image(path, Preprocessing(2, 1)).tolist() == [[[0, 1], [16, 255]]]
    assert decode_image(path, Preprocessing(2, 1, range=(0, 4095))).tolist() == [[[0, 16], [255, 255]]]


def test_values_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.tiff", np.array([[0, np.nan], [np.inf, 1]], dtype=np.float32))
    with pytest.raises(UnknownRangeError, match="some of its values are not numbers"):
        decode_image(path, Preprocessing(2, 1, range=(0, 1)))


def test_another_range_has_another_cache(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for i in range(12):
            saved(root / name / f"{i}.tiff", RANDOM.random((8, 8)).astype(np.float32))
    means = []
    for limits in ([0, 1], [0, 2], [0, 1]):
        data = FolderDataModule(str(root), image_size=8, channels=1, range=(limits[0], limits[1]))
        data.setup()
        means.append(data.mean[0])
        assert data.preprocessing.range == tuple(limits)
    assert means[0] == means[2] == pytest.approx(2 * means[1], rel=0.01)
    assert means[0] == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match=r"range=\[1,0\]; expected \[low,high\] with low below high"):
        FolderDataModule(str(root), range=(1, 0)).setup()


def test_16_bit_colours_that_use_a_part_of_the_range_are_reported(tmp_path: Path) -> None:
    """A hand-made TIFF, because Pillow does not write 16-bit colours."""
    for highest, reported in ((4095, [15 * 257]), (65535, [65535])):
        values = np.linspace(0, highest, 27).astype("<u2")
        tags = [
            (256, 1, 3),
            (257, 1, 3),
            (258, 3, 150),
            (262, 1, 2),
            (273, 1, 160),
            (277, 1, 3),
            (279, 1, values.nbytes),
        ]
        entries = b"".join(struct.pack("<HHII", tag, 3, count, value) for tag, count, value in tags)
        head = (b"II" + struct.pack("<HIH", 42, 8, len(tags)) + entries + bytes(4)).ljust(150, b"\0")
        (tmp_path / "x.tiff").write_bytes((head + struct.pack("<3H", 16, 16, 16)).ljust(160, b"\0") + values.tobytes())
        maxima: list[int] = []
        assert decode_image(tmp_path / "x.tiff", Preprocessing(3), maxima).max() == reported[0] // 257
        assert maxima == reported
    maxima = []
    for path in files(tmp_path).values():
        decode_image(path, Preprocessing(8), maxima)
    assert len(maxima) == 1  # of the 16-bit PNG


TRANSPARENT = np.dstack([np.full((8, 8, 3), 10, np.uint8), np.zeros((8, 8), np.uint8)])
TRANSPARENT[:, 4:, 3] = 255


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["RGBA.png", "RGBA.webp", "RGBA.tiff", "LA.png", "P.png", "P.gif", "L.png", "RGB.png"])
def test_transparent_images_are_composited_on_white(tmp_path: Path, kind: str, channels: int) -> None:
    """The hidden colour is the visible one: 10; the right half is visible."""
    path, mode = tmp_path / kind, kind.partition(".")[0]
    if mode in ("RGBA", "LA"):
        saved(path, TRANSPARENT, mode, **({"lossless": True, "exact": True} if kind.endswith("webp") else {}))
    else:  # one colour or palette entry is transparent
        visible = np.full((8, 8), 200, np.uint8)
        visible[:, 4:] = 10
        image = Image.fromarray(visible).convert(mode)
        hidden: Any = {"P": image.getpixel((0, 0)), "L": 200, "RGB": (200, 200, 200)}[mode]
        image.save(path, transparency=hidden)
    pixels = decode_image(path, Preprocessing(8, channels))
    assert pixels.shape == (channels, 8, 8)
    assert (pixels[:, :, :4] == 255).all()
    assert (abs(pixels[:, :, 4:].astype(int) - 10) <= 1).all()


def test_half_transparency_is_half_white(tmp_path: Path) -> None:
    half = np.dstack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 128, np.uint8)])
    assert set(decode_image(saved(tmp_path / "half.png", half), Preprocessing(4)).flat) == {127}


def files(folder: Path) -> dict[str, Path]:
    """One file of each kind for which programs differ."""
    photograph = smooth(900, 1400)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "large JPEG": saved(folder / "large.jpg", photograph, quality=90),
        "grey JPEG": saved(folder / "grey.jpg", photograph, "L", quality=90),
        "CMYK JPEG": saved(folder / "cmyk.jpg", photograph, "CMYK"),
        "rotated JPEG": saved(folder / "rotated.jpg", photograph, exif=exif, quality=90),
        "16-bit PNG": saved(folder / "16.png", RANDOM.integers(0, 65536, (40, 30)).astype(np.uint16)),
        "RGBA PNG": saved(folder / "alpha.png", np.dstack([smooth(80, 60), smooth(80, 60)[:, :, 0]])),
        "LA PNG": saved(folder / "grey alpha.png", np.dstack([smooth(80, 60), smooth(80, 60)[:, :, 0]]), "LA"),
        "RGBA WebP": saved(folder / "alpha.webp", np.dstack([smooth(80, 60), smooth(80, 60)[:, :, 0]])),
        "palette": saved(folder / "palette.gif", smooth(80, 60), "P", transparency=3),
        "1 bit": saved(folder / "1.png", smooth(80, 60), "1"),
        "BMP": saved(folder / "0.bmp", smooth(80, 60)),
    }


@pytest.mark.parametrize("resize", ["squeeze", "crop", "pad"])
@pytest.mark.parametrize("document", ["README.md", "docs/deploy.md"])
def test_training_export_and_the_published_programs_have_the_same_pixels(
    tmp_path: Path, document: str, resize: Resize
) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    (program,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "onnxruntime" in block]
    lines = program[program.index("image = ImageOps") : program.index("scores, prob")]
    for channels, mode in ((1, "L"), (3, "RGB")):
        paths = list(files(tmp_path).values())
        preprocessing = Preprocessing(32, channels, resize, 0.875, "bicubic")
        expected = [decode_image(path, preprocessing) for path in paths]
        for path, pixels in zip(paths, expected, strict=True):
            names: dict[str, Any] = {"size": 32, "mode": mode, "np": np, "Image": Image, "ImageOps": ImageOps}
            names["metadata"] = asdict(preprocessing)
            exec(lines.replace('"image.png"', repr(str(path))), names)
            np.testing.assert_array_equal(names["pixels"][0], pixels, err_msg=path.name)
            np.testing.assert_array_equal(preprocess(path, asdict(preprocessing))[0], pixels, err_msg=path.name)
        check_preprocessing(paths, np.stack(expected), preprocessing)


def test_export_names_a_file_with_other_pixels(tmp_path: Path) -> None:
    path = saved(tmp_path / "0.png", smooth(40, 40))
    pixels = decode_image(path, Preprocessing(8))
    pixels[0, 0, 0] ^= 64
    with pytest.raises(
        UserError, match=r"0\.png: the pixels of the program in docs/deploy\.md differ .* by up to 64 of"
    ):
        check_preprocessing([path], pixels[None], Preprocessing(8))


def test_max_pixels(tmp_path: Path) -> None:
    root = class_folders(tmp_path, count=12)
    saved(root / "cat" / "large.png", np.zeros((100, 100), np.uint8))

    def load(most: int | None) -> FolderDataModule:
        data = FolderDataModule(str(root), image_size=8, max_pixels=most)
        data.load()
        return data

    with pytest.raises(UserError, match=r"1 of 25 .*large\.png \(more pixels than data\.max_pixels\)"):
        load(9_999)
    load(10_000)
    load(None)
    before = Image.MAX_IMAGE_PIXELS
    with pixel_limit(5):
        assert Image.MAX_IMAGE_PIXELS == 2.5
    assert before == Image.MAX_IMAGE_PIXELS
    with pytest.raises(ValueError, match="max_pixels=0; expected a number of pixels"):
        FolderDataModule(str(root), max_pixels=0)


def test_reasons_do_not_repeat_the_path(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_text("nothing")
    with pytest.raises(CORRUPT) as refused:
        decode_image(tmp_path / "0.png", Preprocessing(8))
    assert reason(refused.value) == "not an image, or an unknown format"
