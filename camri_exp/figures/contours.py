"""Losses as landscapes over a 2-D feature.

``python -m camri_exp.figures.contours docs/figures/losses`` draws every loss of configs/loss into that folder, and one
picture of all. ``python -m camri_exp.figures.contours FILE.png loss=camri loss.margin=0.2`` draws one, your settings.
"""

import io
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

from camri_exp.errors import UserError
from camri_exp.figures import style
from camri_exp.losses import Loss

REACH, LENGTH, HIGHEST = 4.0, 3.0, 8.0  # of the feature plane, of the weights, of the colours
CLASSES, IMPORTANT = 3, 1
COUNTS = [900, 100, 900]  # training images, for losses that ask for them
# More than one would train with, to be seen. CAMRI's margin and the weight fit the poster of its authors.
SHOWN = {
    "camri": ["loss.margin=1.5708"],
    "arcface": ["loss.margin=1.5708"],
    "cosface": ["loss.margin=1.0"],
    "wce": ["loss.weight=60"],
    "crwwce": ["loss.false_negative=60", "loss.false_positive=10"],
    "mse_outlying": ["loss.alpha=2"],
}
OUTLINE = [withStroke(linewidth=2.5, foreground="white")]  # dark on dark would not be seen


def weights() -> torch.Tensor:
    """Weights (3, 2) of length 3 at 0, 120 and 240 degrees."""
    angle = torch.arange(CLASSES) * 2 * torch.pi / CLASSES
    return LENGTH * torch.stack([angle.cos(), angle.sin()], dim=1)


def landscape(loss: Loss, head: torch.nn.Module, target: int, points: int = 201) -> npt.NDArray[Any]:
    """The loss of one sample of class ``target`` whose feature is (x, y): (n, n), a row a y."""
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(weights() if parameter.ndim == 2 else torch.zeros(CLASSES))
        line = torch.linspace(-REACH, REACH, points)
        y, x = torch.meshgrid(line, line, indexing="ij")
        scores = head(torch.stack([x.flatten(), y.flatten()], dim=1))
        label = torch.tensor([target])
        values = torch.func.vmap(lambda row: loss(row[None], label))(scores)
    return values.reshape(points, points).numpy()


def one_loss(loss: Loss, head: torch.nn.Module, title: str) -> Figure:
    """The loss of a sample of the important class, and of one of another class."""
    figure = style.new(7.4, 3.7)
    for axes, target in zip(figure.subplots(1, 2), (IMPORTANT, 0), strict=True):
        shown = draw(axes, landscape(loss, head, target), target)
        which = "the important class 1" if target == IMPORTANT else "class 0"
        axes.set_title(f"a sample of {which}", fontsize=9)
    figure.colorbar(shown, ax=figure.axes, label="loss", extend="max")
    figure.suptitle(title, fontsize=10)
    return figure


def all_losses(losses: Mapping[str, tuple[Loss, torch.nn.Module]]) -> Figure:
    """The loss of a sample of the important class, a panel for each loss."""
    columns = style.columns_for(len(losses), 4)
    rows = math.ceil(len(losses) / columns)
    figure = style.new(2.6 * columns + 0.8, 2.7 * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, (title, (loss, head)) in zip(panels, losses.items(), strict=False):
        shown = draw(axes, landscape(loss, head, IMPORTANT), IMPORTANT)
        axes.set_title(title, fontsize=8)
    for axes in panels[len(losses) :]:
        axes.axis("off")
    figure.colorbar(shown, ax=panels, label="loss of a sample of the important class 1", extend="max", shrink=0.6)
    return figure


def draw(axes: Axes, values: npt.NDArray[Any], target: int) -> Any:
    """One landscape: dark is a high loss, dashes part the predictions, the orange arrow is the target's weight."""
    line = np.linspace(-REACH, REACH, len(values))
    levels = np.linspace(0, HIGHEST, 17)
    shown = axes.contourf(line, line, values, levels, cmap="viridis_r", extend="max")
    for k, (x, y) in enumerate(weights().tolist()):
        colour, width = (style.IMPORTANT, 2.0) if k == target else (style.RIVAL, 1.2)
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "path_effects": OUTLINE}
        axes.annotate("", (x, y), (0, 0), arrowprops=arrow)
        axes.text(1.13 * x, 1.13 * y, str(k), ha="center", va="center", color=colour, path_effects=OUTLINE)
        # Weights of equal length: each border lies opposite to the third weight.
        axes.plot([0, -2 * x], [0, -2 * y], color=style.RIVAL, linewidth=1, dashes=(5, 4), path_effects=OUTLINE)
    axes.set(aspect="equal", xticks=[-4, 0, 4], yticks=[-4, 0, 4], xlim=(-REACH, REACH), ylim=(-REACH, REACH))
    axes.tick_params(labelsize=7)
    return shown


def configured(overrides: Sequence[str]) -> tuple[str, Loss, torch.nn.Module]:
    """Title, loss and head of the training config with overrides; of three classes, 1 is important."""
    from hydra import compose, initialize_config_dir

    from camri_exp import build
    from camri_exp.cli import CONFIGS, register_resolvers

    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("train", list(overrides))
    head = build.part(cfg.head, "head", in_features=2, num_classes=CLASSES)
    known = {"num_classes": CLASSES, "important_class": [IMPORTANT], "class_counts": COUNTS}
    loss = build.part(cfg.loss, f"loss={cfg.loss.name}", **known)
    told = [f"{key} {_short(value)}" for key, value in cfg.loss.items() if key not in ("name", "_target_")]
    return f"{cfg.loss.name}: {', '.join(told)}" if told else cfg.loss.name, loss, head


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def draw_every_loss(folder: Path) -> None:
    """A picture of each loss, those of logits after those of cosines in the one of all."""
    from camri_exp.cli import CONFIGS

    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name in sorted(path.stem for path in (CONFIGS / "loss").glob("*.yaml")):
        title, loss, head = configured([f"loss={name}", *SHOWN.get(name, [])])
        _save_small(one_loss(loss, head, title), folder / f"{name}.png")
        drawn[name] = loss, head
    by_head = sorted(drawn, key=lambda name: type(drawn[name][0]).scores)
    _save_small(all_losses({name: drawn[name] for name in by_head}), folder / "all.png")


def _save_small(figure: Figure, path: Path) -> None:
    """With a palette, a third of the bytes."""
    Image.open(io.BytesIO(style.png(figure))).convert("RGB").quantize(256).save(path, optimize=True)


def main() -> None:
    """Draw one loss, or all; see the top of this file."""
    from hydra.errors import HydraException

    from camri_exp.cli import fail

    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    output, overrides = Path(sys.argv[1]), sys.argv[2:]
    try:
        if overrides and output.suffix != ".png":
            raise UserError(f"{output}: a picture of one loss is a file that ends in .png")
        if overrides:
            title, loss, head = configured(overrides)
            style.save(one_loss(loss, head, title), output)
        else:
            draw_every_loss(output)
    except (UserError, HydraException, OSError) as error:
        fail(error)


if __name__ == "__main__":
    main()
