"""Draw losses as landscapes over a two-dimensional feature.

python scripts/plot_losses.py docs/figures/losses                     every loss of configs/loss, and one figure of all
python scripts/plot_losses.py FILE.png loss=camri loss.margin=0.2     one loss with your settings
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from matplotlib.figure import Figure
from PIL import Image

from camri_exp.cli import CONFIGS, fail, register_resolvers
from camri_exp.errors import UserError
from camri_exp.figures import style
from camri_exp.figures.loss_landscape import CLASSES, IMPORTANT, all_losses, one_loss
from camri_exp.files import atomic_path
from camri_exp.losses import Loss
from camri_exp.models.factory import build_head, build_loss

LOSSES = sorted(path.stem for path in (CONFIGS / "loss").glob("*.yaml"))
COUNTS = [900, 100, 900]  # training images per class, for losses that need them
# Larger than in training, so that their effect is visible. The margin of CAMRI and the weight of wce are those of the
# figure on the poster of the authors of CAMRI.
SHOWN = {
    "camri": ["loss.margin=1.5708"],
    "arcface": ["loss.margin=1.5708"],
    "cosface": ["loss.margin=1.0"],
    "wce": ["loss.weight=60"],
    "cost_sensitive": ["loss.price=60"],
    "cost_sensitive_cosine": ["loss.price=60"],
    "recall_target": ["loss.price=60"],
    "vector_scaling": ["loss.multiplier=0.4", "loss.offset=-2"],
    "crwwce": ["loss.false_negative=60", "loss.false_positive=10"],
    "mse_outlying": ["loss.alpha=2"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="a folder for every loss, or a .png file for one")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides of one loss, as in camri_exp.train")
    given = parser.parse_args()
    try:
        if not given.overrides:
            draw_every_loss(given.output)
        elif given.output.suffix == ".png":
            title, loss, head = configured(given.overrides)
            style.save(one_loss(loss, head, title), given.output)
        else:
            raise UserError(f"{given.output}: expected a file that ends in .png for the figure of one loss.")
    except (UserError, HydraException, OSError) as error:
        fail(error)


def configured(overrides: Sequence[str]) -> tuple[str, Loss, torch.nn.Module]:
    """Title, loss and head of the training config with ``overrides``; class 1 of three is important."""
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("train", list(overrides))
    head = build_head(cfg, in_features=2, num_classes=CLASSES)
    loss = build_loss(cfg, {"num_classes": CLASSES, "important_class": [IMPORTANT], "class_counts": COUNTS})
    shown = {key: value for key, value in cfg.loss.items() if key not in ("name", "_target_") and value is not None}
    settings = [f"{key} {_short(value)}" for key, value in shown.items()]
    return f"{cfg.loss.name}: {', '.join(settings)}" if settings else cfg.loss.name, loss, head


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def draw_every_loss(folder: Path) -> None:
    """A figure of each loss, and one of all: those on cosines first, then those on logits."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name in LOSSES:
        title, loss, head = configured([f"loss={name}", *SHOWN.get(name, [])])
        _save_small(one_loss(loss, head, title), folder / f"{name}.png")
        drawn[name] = loss, head
    by_head = sorted(drawn, key=lambda name: drawn[name][0].score_type)
    _save_small(all_losses({name: drawn[name] for name in by_head}), folder / "all.png")


def _save_small(figure: Figure, path: Path) -> None:
    """Save with a palette, which takes a third of the bytes."""
    with atomic_path(path) as temporary:
        Image.open(io.BytesIO(style.png(figure))).convert("RGB").quantize(256).save(temporary, optimize=True)


if __name__ == "__main__":
    main()
