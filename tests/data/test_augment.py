"""Augmentation: random per image, determined by the seed, and never mirroring signs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from camri_exp.data.augment import Augmentation, random_affine, random_crop, random_light

IMAGES = torch.randint(0, 256, (64, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("flip", [False, True])
def test_a_crop_is_a_window_of_the_reflected_image(flip: bool) -> None:
    torch.manual_seed(0)
    cropped = random_crop(IMAGES, 3, flip)
    padded = F.pad(IMAGES.float(), [3] * 4, mode="reflect").byte()
    positions = []
    for image, whole in zip(cropped, padded, strict=True):
        candidates = {
            (top, left, mirrored): torch.equal(window.flip(-1) if mirrored else window, image)
            for top in range(7)
            for left in range(7)
            for mirrored in (False, True)
            if (window := whole[:, top : top + 9, left : left + 9]) is not None
        }
        positions.append(next(position for position, same in candidates.items() if same))
    tops, lefts, mirrored = zip(*positions, strict=True)
    assert set(tops) == set(lefts) == set(range(7))
    assert (0.3 < np.mean(mirrored) < 0.7) if flip else not any(mirrored)


def test_an_affine_with_zero_parameters_is_the_identity() -> None:
    torch.testing.assert_close(random_affine(IMAGES.float(), 0, 0, 0), IMAGES.float(), atol=1e-3, rtol=0)


def test_an_affine_rotates_as_pillow_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """By 90 degrees, where no interpolation is necessary."""
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.ones(*size))
    turned = random_affine(IMAGES[:1].float(), 90, 0, 0)[0].byte()
    by_pillow = np.asarray(Image.fromarray(IMAGES[0].permute(1, 2, 0).numpy()).rotate(90))
    clockwise = np.asarray(Image.fromarray(IMAGES[0].permute(1, 2, 0).numpy()).rotate(-90))
    pixels = turned.permute(1, 2, 0).numpy().astype(int)
    assert min(np.abs(pixels - by_pillow).max(), np.abs(pixels - clockwise).max()) <= 1


def test_an_affine_shifts_by_its_fraction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.ones(*size))
    shifted = random_affine(IMAGES.float(), 0, 0, 1 / 9)
    torch.testing.assert_close(shifted[:, :, :-1, :-1], IMAGES[:, :, 1:, 1:].float(), atol=1e-3, rtol=0)


def test_brightness_and_contrast_keep_their_limits() -> None:
    torch.manual_seed(0)
    grey = torch.full((4000, 1, 2, 2), 100.0)
    bright = random_light(grey, 0.3, 0)[:, 0, 0, 0]
    assert 70 <= bright.min() < 72
    assert 128 < bright.max() <= 130.0001
    image = torch.tensor([50.0, 150.0]).repeat(4000, 1, 1, 1)
    spread = random_light(image, 0, 0.5)
    torch.testing.assert_close(spread.mean(-1), torch.full((4000, 1, 1), 100.0))
    width = spread[..., 1] - spread[..., 0]
    assert 50 <= width.min() < 52
    assert 148 < width.max() <= 150.0001
    assert random_light(torch.full((100, 1, 2, 2), 250.0), 0.9, 0).max() == 255


def test_each_image_is_changed_independently_and_by_the_seed() -> None:
    change = Augmentation(flip=True, crop=0.1, degrees=10, scale=0.1, shift=0.1, brightness=0.3, contrast=0.3)
    same = IMAGES[:1].expand(64, -1, -1, -1)
    torch.manual_seed(1)
    first = change(same)
    torch.manual_seed(1)
    assert torch.equal(first, change(same))
    assert not torch.equal(first, change(same))
    assert len({image.numpy().tobytes() for image in first}) == 64
    assert first.min() >= 0
    assert first.max() <= 255


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 4}, r"augmentation\.crop=4; expected a fraction from 0 to below 1, not pixels"),
        ({"scale": 1}, r"augmentation\.scale=1; expected a fraction"),
        ({"shift": -0.1}, r"augmentation\.shift=-0\.1; expected a fraction"),
        ({"degrees": -1}, r"augmentation\.degrees=-1; expected at least 0"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augmentation(**settings)  # type: ignore[arg-type]


def test_no_augmentation_is_the_batch_itself() -> None:
    assert Augmentation()(IMAGES) is IMAGES


def test_signs_are_never_mirrored() -> None:
    from omegaconf import OmegaConf

    from camri_exp.cli import CONFIGS

    assert OmegaConf.load(CONFIGS / "data" / "gtsrb.yaml").augmentation.flip is False
