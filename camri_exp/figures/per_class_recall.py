"""Recall of every class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from camri_exp.figures import style
from camri_exp.metrics.per_class import ClassMetrics

MOST = 80  # classes that fit into the figure


def recall_per_class(classes: Sequence[ClassMetrics], important: Sequence[int], split: str = "test") -> Figure:
    """Recall of each class with Wilson's 95 % CI, lowest first; important classes are filled diamonds.

    If there are more than ``MOST`` classes, only those of lowest recall and the important ones are drawn.

    Args:
        classes: the metrics of each class, in the order of the class ids.
        important: ids of the important classes.
        split: for the title.
    """
    lowest = np.argsort([row.recall for row in classes], kind="stable")
    order = [k for rank, k in enumerate(lowest.tolist()) if rank < MOST or k in important][::-1]
    figure = style.new(6.4, max(3.0, 0.2 * len(order) + 1.3))
    axes = figure.add_subplot()
    for y, k in enumerate(order):
        row, marked = classes[k], k in important
        colour = style.IMPORTANT if marked else style.OTHER
        axes.plot([row.recall_low, row.recall_high], [y, y], color=colour, linewidth=2.4 if marked else 1.2)
        axes.plot(row.recall, y, "D" if marked else "o", color=colour, mfc=colour if marked else "white", ms=5)
    names = [f"{style.short(classes[k].class_name)} ({classes[k].support})" for k in order]
    axes.set_yticks(range(len(order)), names, fontsize=8)
    style.mark_labels(axes, [order.index(k) for k in important])
    which = "each class" if len(order) == len(classes) else f"the {len(order)} lowest of {len(classes)} classes"
    axes.set(ylim=(-0.7, len(order) - 0.3), xlabel="recall with 95 % CI", title=f"Recall of {which} ({split})")
    axes.set_xlim(right=1.01)
    style.grid(axes)
    return figure
