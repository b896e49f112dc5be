"""The square of an image: torchvision's and timm's transforms for evaluation as references."""

import numpy as np
import pytest
import timm
from PIL import Image
from torchvision.transforms import v2

from camri_exp.data.cache import cached
from camri_exp.data.image_source import image_files
from camri_exp.data.preprocessing import ModelPreprocessing, Preprocessing
from tests.helpers.image_files import image_file

RANDOM = np.random.default_rng(0)
SIZES = ((213, 160), (37, 120), (200, 200), (31, 9), (128, 128))


def random_image(width: int, height: int) -> Image.Image:
    return Image.fromarray(RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("mode", "resize"), [("center", "crop"), ("squash", "squeeze")])
@pytest.mark.parametrize(("image_size", "fraction"), [(128, 0.875), (96, 0.95), (32, 1.0), (17, 0.9)])
def test_crop_and_squeeze_are_the_transforms_of_timm(size, mode, resize, image_size, fraction):
    reference = timm.data.create_transform(
        (3, image_size, image_size), crop_pct=fraction, crop_mode=mode, interpolation="bicubic", normalize=False
    )
    image = random_image(*size)
    square = Preprocessing(image_size, 3, resize, fraction, "bicubic").square(image)
    np.testing.assert_array_equal(np.asarray(square).transpose(2, 0, 1), reference(image).numpy())


def test_the_default_is_a_resize_without_a_cut():
    for size in SIZES:
        image = random_image(*size)
        expected = image.resize((24, 24), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(np.asarray(Preprocessing(24).square(image)), np.asarray(expected))


@pytest.mark.parametrize("size", SIZES)
def test_pad_shows_the_whole_image_between_black_borders(size):
    image = random_image(*size)
    square = Preprocessing(32, 3, "pad").square(image)
    width, height = (max(1, 32 * side // max(size)) for side in size)
    small = image.resize((width, height), Image.Resampling.BILINEAR)
    expected = v2.CenterCrop(32)(small)  # torchvision pads an image that is smaller than the crop with zeros
    assert np.asarray(square).sum() == np.asarray(expected).sum() == np.asarray(small).sum()
    left, top = round((width - 32) / 2), round((height - 32) / 2)
    np.testing.assert_array_equal(np.asarray(square)[-top : height - top, -left : width - left], np.asarray(small))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resize": "stretch"}, "resize=stretch; expected one of squeeze, crop, pad"),
        ({"interpolation": "sinc"}, "interpolation=sinc; expected one of nearest"),
        ({"crop_fraction": 0.0}, r"crop_fraction=0.0; expected a number from 0.1 to 1"),
        ({"crop_fraction": 1.5}, r"crop_fraction=1.5; expected a number from 0.1 to 1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(8, **arguments)


def test_statistics_of_grey_images_are_the_average_over_the_colours():
    own = ModelPreprocessing("crop", 0.875, "bicubic", (0.2, 0.3, 0.7), (0.1, 0.2, 0.6))
    assert own.statistics(3) == ((0.2, 0.3, 0.7), (0.1, 0.2, 0.6))
    mean, std = own.statistics(1)
    assert mean == pytest.approx((0.4,))
    assert std == pytest.approx((0.3,))


def test_another_preprocessing_is_another_cache_and_the_default_keeps_its_name(tmp_path):
    paths = [image_file(tmp_path / f"{i}.png", seed=i) for i in range(3)]
    names = [path.name for path in paths]
    shown = {
        resize: cached(image_files(paths, [0, 1, 0], names, Preprocessing(8, 3, resize)), None, tmp_path).pixels.clone()
        for resize in ("squeeze", "crop", "pad")
    }
    assert len({pixels.numpy().tobytes() for pixels in shown.values()}) == 3
    assert Preprocessing(8).__class__.__name__ not in image_files(paths, [0, 1, 0], names, Preprocessing(8)).facts
