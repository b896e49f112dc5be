"""A loss as a function of a two-dimensional feature."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from camri_exp.figures import style
from camri_exp.losses import Loss

REACH, LENGTH, HIGHEST = (
    4.0,
    3.0,
    8.0,
)  # half width of the feature plane, length of the weights, largest loss with a colour
CLASSES, IMPORTANT = 3, 1
OUTLINE = [withStroke(linewidth=2.5, foreground="white")]  # dark lines on dark colours would not be visible


def weights() -> torch.Tensor:
    """Weights (3, 2) of length 3 at 0, 120 and 240 degrees."""
    angle = torch.arange(CLASSES) * 2 * torch.pi / CLASSES
    return LENGTH * torch.stack([angle.cos(), angle.sin()], dim=1)


def landscape(loss: Loss, head: torch.nn.Module, target: int, points: int = 201) -> npt.NDArray[Any]:
    """The loss (n, n) of one sample of class ``target`` whose feature is (x, y); rows are y, columns x."""
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
    """The loss of a sample of the important class, and of a sample of another class."""
    figure = style.new(7.4, 3.7)
    for axes, target in zip(figure.subplots(1, 2), (IMPORTANT, 0), strict=True):
        shown = draw(axes, landscape(loss, head, target), target)
        which = "the important class 1" if target == IMPORTANT else "class 0"
        axes.set_title(f"a sample of {which}", fontsize=9)
    figure.colorbar(shown, ax=figure.axes, label="loss", extend="max")
    figure.suptitle(title, fontsize=10)
    return figure


def all_losses(losses: Mapping[str, tuple[Loss, torch.nn.Module]]) -> Figure:
    """The loss of a sample of the important class, one panel per loss."""
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
    """One landscape: dark is a high loss, dashes separate the predictions, the orange arrow is the target's weight."""
    line = np.linspace(-REACH, REACH, len(values))
    levels = np.linspace(0, HIGHEST, 17)
    shown = axes.contourf(line, line, values, levels, cmap="viridis_r", extend="max")
    for k, (x, y) in enumerate(weights().tolist()):
        colour, width = (style.IMPORTANT, 2.0) if k == target else (style.NEUTRAL, 1.2)
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "path_effects": OUTLINE}
        axes.annotate("", (x, y), (0, 0), arrowprops=arrow)
        axes.text(1.13 * x, 1.13 * y, str(k), ha="center", va="center", color=colour, path_effects=OUTLINE)
        # The weights have equal length, so that the border between two classes lies opposite the third weight.
        axes.plot([0, -2 * x], [0, -2 * y], color=style.NEUTRAL, linewidth=1, dashes=(5, 4), path_effects=OUTLINE)
    axes.set(aspect="equal", xticks=[-4, 0, 4], yticks=[-4, 0, 4], xlim=(-REACH, REACH), ylim=(-REACH, REACH))
    axes.tick_params(labelsize=7)
    return shown
