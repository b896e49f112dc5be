"""Random changes of a whole batch, drawn for each image on its own, on the device where the batch is.

torchvision's v2 transforms draw once for a whole batch, and kornia's pipelines of the same changes are slower at 32
pixels, of crop and flip several times (docs/performance.md), hence these few lines of plain torch. All draw from
torch's global generator, which the run seeds at every epoch.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training image; zero and false leave it out.

    Attributes:
        flip: mirror half of the images left to right. Never for signs, letters, or anything that has a handedness.
        crop: shift by up to this share of the size; what comes in from outside is the reflected image.
        degrees: rotate by up to so much either way.
        scale: enlarge or shrink by up to this share.
        shift: move by up to this share of the size, between pixels too; the edges are repeated.
        brightness: multiply by 1 +- this share.
        contrast: multiply the distance to the image's mean by 1 +- this share.

    Raises:
        ValueError: a share that is not in [0, 1), or negative degrees.
    """

    flip: bool = False
    crop: float = 0.0
    degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        for name in ("crop", "scale", "shift", "brightness", "contrast"):
            share = getattr(self, name)
            if not 0 <= share < 1:
                raise ValueError(f"augmentation.{name}={share}; expected a share from 0 to below 1, not pixels")
        if self.degrees < 0:
            raise ValueError(f"augmentation.degrees={self.degrees}; expected at least 0")

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) to uint8 or float32 of the same shape, in 0..255."""
        if self.flip or self.crop:
            images = random_crop(images, round(self.crop * images.shape[-1]), self.flip)
        if self.degrees or self.scale or self.shift:
            images = random_affine(images.float(), self.degrees, self.scale, self.shift)
        if self.brightness or self.contrast:
            images = random_light(images.float(), self.brightness, self.contrast)
        return images


def random_crop(images: Tensor, padding: int, flip: bool = False) -> Tensor:
    """Shift each image by up to ``padding`` pixels both ways into its reflection; with ``flip`` mirror half of them.

    One gather over flattened pixels: some fifteen times as fast here as one of rows and one of columns.
    """
    count, _, height, width = images.shape
    device = images.device
    top, left = torch.randint(-padding, padding + 1, (2, count, 1), device=device)
    rows = _reflected(torch.arange(height, device=device) + top, height)
    columns = _reflected(torch.arange(width, device=device) + left, width)
    if flip:
        columns = torch.where(torch.rand(count, 1, device=device) < 0.5, columns.flip(1), columns)
    source = rows[:, None, :, None] * width + columns[:, None, None, :]
    return images.flatten(2).gather(2, source.expand_as(images).flatten(2)).view_as(images)


def _reflected(position: Tensor, size: int) -> Tensor:
    position = position.abs()
    return (size - 1 - (size - 1 - position).abs()).clamp(0, size - 1)


def random_affine(images: Tensor, degrees: float, scale: float, shift: float) -> Tensor:
    """Rotate by up to ``degrees``, scale by 1 +- ``scale``, move by up to ``shift`` of the size; edges are repeated."""

    def uniform(limit: float) -> Tensor:
        return (torch.rand(len(images), device=images.device) * 2 - 1) * limit

    angle, zoom = torch.deg2rad(uniform(degrees)), 1 + uniform(scale)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    # In grid_sample's units an image is two wide.
    matrix = torch.stack([cos, -sin, uniform(2 * shift), sin, cos, uniform(2 * shift)], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def random_light(images: Tensor, brightness: float, contrast: float) -> Tensor:
    """Multiply by 1 +- ``brightness``, and the distance to the image's mean by 1 +- ``contrast``; kept in 0..255."""
    light, spread = torch.rand(2, len(images), 1, 1, 1, device=images.device) * 2 - 1
    light, spread = 1 + light * brightness, 1 + spread * contrast
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean).mul_(spread).add_(mean)).mul_(light).clamp_(0, 255)
