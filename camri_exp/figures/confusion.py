"""The confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from camri_exp.figures import style

MOST_NUMBERED = 20  # up to so many classes every count is printed
MOST_NAMED = 110  # up to so many classes all names, and the counts of mistakes, are printed


def confusion_matrix(
    confusion: npt.NDArray[Any], class_names: Sequence[str], important: Sequence[int], split: str = "test"
) -> Figure:
    """Counts (K, K), rows the true class, shaded by their share of the row.

    With more than ``MOST_NUMBERED`` classes only the counts of mistakes are printed; with more than ``MOST_NAMED`` no
    counts, and only the names of the important classes. Shades are the square root of the share, so that 3 % is
    visible.
    """
    count = len(class_names)
    many = count > MOST_NUMBERED
    width = min(max(5.5, 0.27 * count + 3), 30.0)
    figure = style.new(width + 0.6, width)
    axes = figure.add_subplot()
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(share, cmap="Greys", norm=PowerNorm(0.5, vmin=0, vmax=1))
    figure.colorbar(shown, ax=axes, label="share of the true class", shrink=0.6)
    size = 8 if many else 9
    named = list(range(count)) if count <= MOST_NAMED else sorted(important)
    names = [style.short(class_names[k]) for k in named]
    axes.set_xticks(named, names, rotation=90, fontsize=size)
    axes.set_yticks(named, names, fontsize=size)
    for which in ("x", "y"):
        style.mark_labels(axes, [named.index(k) for k in important], which)
    for k in range(1, count if count <= MOST_NAMED else 0):  # lines that lead from a cell to its name
        axes.axhline(k - 0.5, color="#e4e4e4", linewidth=0.5, zorder=0.5)
        axes.axvline(k - 0.5, color="#e4e4e4", linewidth=0.5, zorder=0.5)
    for edge in (k + side for k in important for side in (-0.5, 0.5)):
        axes.axhline(edge, color=style.IMPORTANT, linewidth=0.8)
        axes.axvline(edge, color=style.IMPORTANT, linewidth=0.8)
    for row, column in np.argwhere(confusion) if count <= MOST_NAMED else ():
        if not many or row != column:
            colour = "white" if share[row, column] > 0.3 else "black"
            text = str(confusion[row, column])
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size - (2 if many else 1))
    axes.set(xlabel="predicted", ylabel="true", title=f"Confusion matrix ({split}, {int(confusion.sum())} images)")
    return figure
