"""Recall of every class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from camri_exp.figures import style

MOST = 80  # classes that find room


def recall_per_class(rows: Sequence[Mapping[str, Any]], important: Sequence[int], split: str = "test") -> Figure:
    """Recall with Wilson's 95 % interval, lowest first; the important classes as filled diamonds.

    Of very many classes the lowest, and the important ones.

    Args:
        rows: as ``metrics.per_class.rows`` gives them.
        important: ids of the important classes.
        split: for the title.
    """
    lowest = np.argsort([row["recall"] for row in rows], kind="stable")
    order = [k for place, k in enumerate(lowest.tolist()) if place < MOST or k in set(important)][::-1]
    figure = style.new(6.4, max(3.0, 0.2 * len(order) + 1.3))
    axes = figure.add_subplot()
    for place, k in enumerate(order):
        row, mine = rows[k], k in set(important)
        colour = style.IMPORTANT if mine else style.OTHER
        axes.plot([row["recall_low"], row["recall_high"]], [place, place], color=colour, linewidth=2.4 if mine else 1.2)
        axes.plot(row["recall"], place, "D" if mine else "o", color=colour, mfc=colour if mine else "white", ms=5)
    names = [f"{style.short(rows[k]['class'])} ({rows[k]['support']})" for k in order]
    axes.set_yticks(range(len(order)), names, fontsize=8)
    style.mark_labels(axes, [order.index(k) for k in important])
    which = "each class" if len(order) == len(rows) else f"the {len(order)} lowest of {len(rows)} classes"
    axes.set(ylim=(-0.7, len(order) - 0.3), xlabel="recall, with 95 % interval", title=f"Recall of {which} ({split})")
    axes.set_xlim(right=1.01)
    style.grid(axes)
    return figure
