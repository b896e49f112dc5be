"""The pictures that a run logs, drawn from its predictions alone."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from camri_exp.metrics import threshold

Array = npt.NDArray[Any]
MOST_NUMBERED = 20  # classes up to which a count fits into its cell


def picture(figure: Figure, dpi: int = 120) -> Image.Image:
    """The figure as an RGB picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return Image.open(buffer).convert("RGB")


def confusion_matrix(confusion: Array, class_names: Sequence[str], important: Sequence[int]) -> Figure:
    """Counts (K, K), rows the true class; shaded by the share of the row, the important classes in bold."""
    classes = len(class_names)
    side = min(max(5.0, 0.28 * classes + 2.5), 16.0)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(shown, ax=axes, label="share of the true class", shrink=0.7)
    size = 9 if classes <= MOST_NUMBERED else 7
    axes.set_xticks(range(classes), class_names, rotation=90, fontsize=size)
    axes.set_yticks(range(classes), class_names, fontsize=size)
    for k in important:
        axes.get_xticklabels()[k].set_fontweight("bold")
        axes.get_yticklabels()[k].set_fontweight("bold")
    axes.set(xlabel="predicted", ylabel="true", title="Confusion matrix (test)")
    # Beyond that many classes the counts of the mistakes alone are written: the diagonal would crowd them out.
    for row, column in np.argwhere(confusion):
        if classes <= MOST_NUMBERED or row != column:
            colour = "white" if share[row, column] > 0.5 else "black"
            text = str(confusion[row, column])
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size - 2)
    return figure


def recall_accuracy(
    scores: Array, target: Array, important: Sequence[int], recall: float, accuracy: float, names: Sequence[str]
) -> Figure:
    """The run's recall and accuracy on test, and the curve that adding a constant to the important scores reaches."""
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    accuracies, recalls = np.array([accuracy]), np.array([recall])
    if len(important) < scores.shape[1]:  # else there is no other class to take images from
        curve = threshold.curve(scores, target, important)
        accuracies, recalls = curve.accuracy, curve.recall
        axes.plot(accuracies, recalls, color="#4477aa", linewidth=1.5, label="moving the threshold")
    axes.plot([accuracy], [recall], "D", color="#ee6677", markersize=8, label="this run")
    axes.axvline(accuracy, color="#777777", linestyle=":", linewidth=1)
    near = accuracies >= accuracy - max(0.1, 2 * (accuracies.max() - accuracy))
    room = 0.05 * float(np.ptp(accuracies[near])) + 0.002
    axes.set_xlim(accuracies[near].min() - room, accuracies.max() + room)
    axes.set_ylim(max(recalls[near].min(), recall - 0.5) - 0.03, 1.03)
    axes.set(xlabel="accuracy", ylabel=f"recall of {', '.join(names)}", title="Recall against accuracy (test)")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    return figure
