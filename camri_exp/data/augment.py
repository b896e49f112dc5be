"""Random changes of a whole batch, drawn for each image on its own, on the device where the batch is.

torchvision's v2 transforms draw once for a whole batch, and kornia's pipeline of the same changes takes several times
as long at 32 pixels (scripts/benchmark.py --only data), hence these few lines of plain torch. All take and give floats
(N, C, H, W) and draw from torch's global generator, which the run seeds at every epoch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def random_flip(images: Tensor) -> Tensor:
    """Mirror half of the images left to right."""
    flip = torch.rand(len(images), device=images.device) < 0.5
    return torch.where(flip[:, None, None, None], images.flip(-1), images)


def random_crop(images: Tensor, padding: int = 4) -> Tensor:
    """Shift each image by up to ``padding`` pixels both ways; what comes in from outside is the reflected image."""
    count, channels, height, width = images.shape
    padded = F.pad(images, [padding] * 4, mode="reflect")
    top, left = torch.randint(0, 2 * padding + 1, (2, count, 1), device=images.device)
    rows = (top + torch.arange(height, device=images.device))[:, None, :, None]
    columns = (left + torch.arange(width, device=images.device))[:, None, None, :]
    which = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[which, channel, rows, columns]


def random_affine(images: Tensor, degrees: float, scale: float, shift: float) -> Tensor:
    """Rotate by up to ``degrees``, scale by 1 +- ``scale``, shift by ``shift`` of the size; edges are repeated."""

    def uniform(limit: float) -> Tensor:
        return (torch.rand(len(images), device=images.device) * 2 - 1) * limit

    angle, zoom = torch.deg2rad(uniform(degrees)), 1 + uniform(scale)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    matrix = torch.stack([cos, -sin, uniform(2 * shift), sin, cos, uniform(2 * shift)], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def random_light(images: Tensor, brightness: float, contrast: float) -> Tensor:
    """Multiply by 1 +- ``brightness``, and the distance to the image's mean by 1 +- ``contrast``; kept in [0, 1]."""
    factor = 1 + (torch.rand(2, len(images), 1, 1, 1, device=images.device) * 2 - 1) * torch.tensor(
        [brightness, contrast], device=images.device
    ).view(2, 1, 1, 1, 1)
    bright = images * factor[0]
    mean = bright.mean(dim=(1, 2, 3), keepdim=True)
    return ((bright - mean) * factor[1] + mean).clamp(0, 1)
