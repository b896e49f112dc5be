"""``python -m camri_exp.data.show``: a contact sheet of what the model sees in training."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from camri_exp.cli import command
from camri_exp.errors import UserError


@command("show", paths=("output", "data.root"))
def main(cfg: DictConfig) -> None:
    """Draw ``cfg.images`` training images of each class, each followed by ``cfg.variants`` random changes of it."""
    import torch

    from camri_exp.data.factory import build_datamodule
    from camri_exp.figures.contact_sheet import contact_sheet

    if cfg.images < 1 or cfg.variants < 0:
        raise UserError(
            f"images={cfg.images} variants={cfg.variants}; expected at least 1 image and 0 variants a class."
        )
    data = build_datamodule(cfg)
    data.prepare_data()
    data.setup("fit")
    torch.manual_seed(cfg.seed)
    rows = [_row(data, label, cfg.images, cfg.variants) for label in range(len(data.class_names))]
    titles = [f"{name} ({n})" for name, n in zip(data.class_names, data.class_counts, strict=True)]
    try:
        contact_sheet(rows, titles, group=1 + cfg.variants).savefig(cfg.output)
    except (OSError, ValueError) as error:  # matplotlib's ValueError: a suffix that is no format
        raise UserError(f"output={cfg.output} cannot be written: {error}") from error
    print(f"{len(rows)} classes, each image first as it is: {Path(cfg.output).resolve()}")


def _row(data: Any, label: int, images: int, variants: int) -> Any:
    """Pixels in [0, 1] of a class's images and their augmented variants: (n, C, H, W)."""
    import torch

    own = torch.nonzero(data.splits["train"].target == label).flatten()
    chosen = data.images("train", own[torch.randperm(len(own))[:images]].tolist())
    changed = data.augmentation(chosen.repeat_interleave(variants, dim=0)).unflatten(0, (len(chosen), variants))
    both = torch.cat([chosen.float()[:, None], changed.float()], dim=1)
    return (both.flatten(0, 1) / 255).clamp(0, 1)


if __name__ == "__main__":
    main()
