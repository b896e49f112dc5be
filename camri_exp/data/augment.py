"""Augmentation of whole batches, with random parameters per image, on the device of the batch.

torchvision's v2 transforms draw one set of parameters for a whole batch, and kornia's pipelines of the same transforms
are slower at 32 pixels, crop and flip several times (docs/performance.md), hence these functions in plain torch. All of
them use torch's global generator, which the run seeds at every epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from camri_exp.data.transforms import per_image


@dataclass(frozen=True)
class Augmentation:
    """The random changes of training images; zero and false disable one.

    Attributes:
        flip: mirror half of the images left to right. Not for signs, letters, or anything where left and right differ.
        crop: shift by up to this fraction of the size in whole pixels; the border is filled by reflection.
        degrees: rotate by up to this angle in both directions.
        scale: enlarge or shrink by up to this fraction.
        shift: move by up to this fraction of the size, with interpolation; the edges are repeated.
        brightness: multiply the pixels by 1 +- this fraction.
        contrast: multiply the distances to the mean of the image by 1 +- this fraction.
        resized_crop: cut a part of at least this share of the area, with an aspect ratio from 3/4 to 4/3, and resize it
            (torchvision's RandomResizedCrop). It comes first.
        transforms: of torchvision, applied to each image after all others.
        image_size: of the result, where ``resized_crop`` or ``transforms`` are used.

    Raises:
        ValueError: a fraction that is not in [0, 1), or negative degrees.
    """

    flip: bool = False
    crop: float = 0.0
    degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    resized_crop: float = 0.0
    transforms: Sequence[v2.Transform] = ()
    image_size: int = 0

    def __post_init__(self) -> None:
        for name in ("crop", "scale", "shift", "brightness", "contrast", "resized_crop"):
            fraction = getattr(self, name)
            if not 0 <= fraction < 1:
                raise ValueError(f"augmentation.{name}={fraction}; expected a fraction from 0 to below 1, not pixels")
        if self.degrees < 0:
            raise ValueError(f"augmentation.degrees={self.degrees}; expected at least 0")

    @property
    def resizes(self) -> bool:
        """Whether the result may have another size than the images."""
        return bool(self.resized_crop or self.transforms)

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) to uint8 or float32, in 0..255; of the same shape without ``resized_crop``."""
        if self.resized_crop:
            crop = v2.RandomResizedCrop(self.image_size, scale=(self.resized_crop, 1.0))
            images = per_image([crop], images, self.image_size)
        if self.flip or self.crop:
            images = random_crop(images, round(self.crop * images.shape[-1]), self.flip)
        if self.degrees or self.scale or self.shift:
            images = random_affine(images.float(), self.degrees, self.scale, self.shift)
        if self.brightness or self.contrast:
            images = random_light(images.float(), self.brightness, self.contrast)
        if self.transforms:
            images = per_image(self.transforms, images.round().to(torch.uint8), self.image_size)
        return images


def random_crop(images: Tensor, padding: int, flip: bool = False) -> Tensor:
    """Shift each image by up to ``padding`` pixels in both directions, filled by reflection; ``flip`` mirrors half.

    One gather over flattened pixels is about fifteen times as fast here as one over rows and one over columns.
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
    """Rotate by up to ``degrees``, scale by 1 +- ``scale``, move by up to ``shift`` of the size; repeats the edges."""

    def uniform(limit: float) -> Tensor:
        return (torch.rand(len(images), device=images.device) * 2 - 1) * limit

    angle, zoom = torch.deg2rad(uniform(degrees)), 1 + uniform(scale)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    # In the coordinates of grid_sample an image has width 2.
    matrix = torch.stack([cos, -sin, uniform(2 * shift), sin, cos, uniform(2 * shift)], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def random_light(images: Tensor, brightness: float, contrast: float) -> Tensor:
    """Multiply by 1 +- ``brightness``, and distances to the image's mean by 1 +- ``contrast``; clipped to 0..255."""
    light, spread = torch.rand(2, len(images), 1, 1, 1, device=images.device) * 2 - 1
    light, spread = 1 + light * brightness, 1 + spread * contrast
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean).mul_(spread).add_(mean)).mul_(light).clamp_(0, 255)
