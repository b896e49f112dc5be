"""Augmentation by torchvision: transforms of single images by name, and mixtures of pairs of images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from camri_exp.errors import UserError, nearest
from camri_exp.schema.plugins import check_arguments

Transform = Callable[[Tensor], Tensor]
Names = str | Sequence[str] | Mapping[str, Mapping[str, Any] | None]


def transform_of(names: Names | None) -> list[v2.Transform]:
    """The transforms of ``torchvision.transforms.v2`` that ``data.transform`` names.

    Args:
        names: the name of a class, a list of names, or a mapping of names to the arguments of their constructors.

    Raises:
        UserError: no such transform, or an argument that it does not have.
    """
    if names is None:
        return []
    arguments = names if isinstance(names, Mapping) else dict.fromkeys([names] if isinstance(names, str) else names)
    return [_transform(str(name), given or {}) for name, given in arguments.items()]


def _transform(name: str, arguments: Mapping[str, Any]) -> v2.Transform:
    kind = getattr(v2, name, None)
    if not (isinstance(kind, type) and issubclass(kind, v2.Transform)):
        known = [key for key, value in vars(v2).items() if isinstance(value, type) and issubclass(value, v2.Transform)]
        raise UserError(
            f"data.transform={name}: torchvision.transforms.v2 has no such transform.{nearest(name, known)}"
        )
    check_arguments(kind, arguments, f"data.transform.{name}")
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"data.transform.{name}: {error}") from error


def per_image(transforms: Sequence[v2.Transform], images: Tensor, size: int) -> Tensor:
    """Apply ``transforms`` to each image with random parameters of its own: uint8 (N, C, H, W) to (N, C, size, size).

    Raises:
        UserError: they give another size or another type.
    """
    changed = []
    for image in images:
        for transform in transforms:
            image = transform(image)
        changed.append(image)
    wrong = next((image for image in changed if image.shape[-2:] != (size, size) or image.dtype != torch.uint8), None)
    if wrong is not None:
        raise UserError(
            f"data.transform gives {wrong.shape[-2]} x {wrong.shape[-1]} images of {wrong.dtype}; expected {size} x "
            f"{size} (data.image_size) of torch.uint8. The model converts and normalises them."
        )
    return torch.stack(changed)


class Mixing:
    """Mixes the images of a batch in pairs, and their targets: MixUp (Zhang et al. 2018, arXiv:1710.09412) or CutMix
    (Yun et al. 2019, arXiv:1905.04899), of each batch one of those that are used.

    Args:
        mixup: alpha of the Beta(alpha, alpha) that the share of the second image is drawn from; 0 does not use it.
        cutmix: the same for CutMix, where it is the share of the area.

    Raises:
        ValueError: a negative alpha.
    """

    def __init__(self, mixup: float = 0.0, cutmix: float = 0.0) -> None:
        for name, alpha in (("mixup", mixup), ("cutmix", cutmix)):
            if not alpha >= 0:
                raise ValueError(f"{name}={alpha}; expected at least 0, which does not use it")
        self.kinds = [(v2.MixUp, mixup)] * (mixup > 0) + [(v2.CutMix, cutmix)] * (cutmix > 0)

    def __bool__(self) -> bool:
        return bool(self.kinds)

    def __call__(self, images: Tensor, target: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Mixed images (N, C, H, W), float32, and the shares of the classes (N, num_classes)."""
        kind, alpha = self.kinds[int(torch.randint(len(self.kinds), ()))]
        return kind(alpha=alpha, num_classes=num_classes)(images.float(), target)
