"""``python -m camri_exp.data.show``: the images of each split, and training images as the model sees them."""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from camri_exp.cli import command
from camri_exp.errors import UserError
from camri_exp.text import printable

if TYPE_CHECKING:
    from torch import Tensor

    from camri_exp.data.base import ImageDataModule


@command("show", paths=("output", "data.root"))
def main(cfg: DictConfig) -> None:
    """Print the number of images of each class and split, and draw ``cfg.images`` training images of each class.

    Each image is followed by ``cfg.variants`` augmented variants.
    """
    import torch

    from camri_exp.data.counts import counts_table
    from camri_exp.data.factory import build_datamodule
    from camri_exp.data.near_copies import near_copies
    from camri_exp.data.splits import NOUNS
    from camri_exp.figures.contact_sheet import contact_sheet
    from camri_exp.files import atomic_path

    data = build_datamodule(cfg)
    data.prepare_data()
    data.setup("fit")
    print(printable(counts_table(data.splits, data.class_names)))
    torch.manual_seed(cfg.seed)
    rows = [_row(data, label, cfg.images, cfg.variants) for label in range(len(data.class_names))]
    titles = [f"{name} ({n})" for name, n in zip(data.class_names, data.class_counts, strict=True)]
    if data.searches_near_copies:
        for split, pairs in near_copies(data.splits).items():
            if len(pairs):
                rows.append(_pairs(data, split, pairs[: cfg.images * (1 + cfg.variants) // 2 + 1].tolist()))
                titles.append(f"near copies: {NOUNS[split]} and training, in pairs ({len(pairs)})")
    try:
        with atomic_path(Path(cfg.output)) as temporary:
            contact_sheet(rows, titles, group=1 + cfg.variants).savefig(temporary)
    except (OSError, ValueError) as error:  # ValueError: matplotlib does not know the format of the suffix
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"output={cfg.output} cannot be written: {reason}") from error
    print(f"{len(data.class_names)} classes, each image first without augmentation: {Path(cfg.output).resolve()}")


def _row(data: "ImageDataModule", label: int, images: int, variants: int) -> "Tensor":
    """Random images of a class, each followed by its augmented variants: pixels in [0, 1], (n, C, H, W)."""
    import torch

    indices = torch.nonzero(data.splits["train"].target == label).flatten()
    chosen = indices[torch.randperm(len(indices))[:images]]
    originals = data.images("train", chosen.tolist())
    augmented = data.augmented(chosen.repeat_interleave(variants).tolist())
    augmented = augmented.unflatten(0, (len(originals), variants))
    both = torch.cat([originals.float()[:, None], augmented.float()], dim=1)
    return (both.flatten(0, 1) / 255).clamp(0, 1)


def _pairs(data: "ImageDataModule", split: str, pairs: list[list[int]]) -> "Tensor":
    """Each image of ``split`` before the training image that it looks like: pixels in [0, 1], (2n, C, H, W)."""
    import torch

    here, there = (data.images(name, [pair[k] for pair in pairs]) for k, name in enumerate((split, "train")))
    return torch.stack([here, there], dim=1).flatten(0, 1) / 255


if __name__ == "__main__":
    main()
