"""Two-dimensional features on the unit circle with the class weights as spokes: the effect of an angular margin."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc

from camri_exp.figures import style
from camri_exp.metrics.angles import nearest_weights

Array = npt.NDArray[Any]
MOST = 250  # points per class; more would cover each other


@dataclass(frozen=True)
class Circle:
    """One model: unit features (n, 2), their classes (n,), class weights (K, 2), names (K) and important ids."""

    label: str
    features: Array
    target: Array
    weight: Array
    class_names: Sequence[str]
    important: Sequence[int]

    def nearest(self) -> list[tuple[int, int, float]]:
        """For each important class: its id, the id of the class with the nearest weight, the angle in degrees."""
        nearest = nearest_weights(self.weight)
        return [(k, nearest[k][0], float(np.degrees(nearest[k][1]))) for k in self.important]

    def describe(self) -> list[str]:
        """One line per important class: the nearest class and the angle to it."""
        names = [style.short(name) for name in self.class_names]
        return [f"{names[k]} to {names[other]}: {degrees:.1f}°" for k, other, degrees in self.nearest()]


def features_on_circles(models: Sequence[Circle], split: str = "test") -> Figure:
    """One panel per model. The arc is the angle between the weight of an important class and its nearest neighbour."""
    columns = min(len(models), 4)
    figure = style.new(4.0 * columns, 4.3 * -(-len(models) // columns) + 0.3)
    panels = list(figure.subplots(-(-len(models) // columns), columns, squeeze=False).flat)
    for axes in panels:
        axes.axis("off")
    for axes, model in zip(panels, models, strict=False):
        _circle(axes, model)
    figure.suptitle(f"Unit features ({split}) and class weights", fontsize=11)
    return figure


def _circle(axes: Axes, model: Circle) -> None:
    spokes = np.arctan2(model.weight[:, 1], model.weight[:, 0])
    # Neighbours differ in colour. Features are scattered around the radius, because they would hide each other.
    colours = dict(zip(np.argsort(spokes).tolist(), [style.OTHER, style.FAINT] * len(spokes), strict=False))
    colours |= dict.fromkeys(model.important, style.IMPORTANT)
    radius = np.random.default_rng(0).normal(1, 0.025, (len(model.features), 1))
    scattered = model.features * radius
    for k, spoke in enumerate(spokes):
        x, y, bold = np.cos(spoke), np.sin(spoke), k in model.important
        points, marker = scattered[model.target == k][:MOST].T, "D" if bold else "o"
        axes.plot(
            *points, marker, color=colours[k], markersize=2.2, markeredgewidth=0, alpha=0.6, zorder=3 if bold else 2
        )
        axes.plot([0, x], [0, y], color=colours[k], linewidth=2.4 if bold else 1.1)
        name, weight = style.short(model.class_names[k]), "bold" if bold else "normal"
        axes.text(1.2 * x, 1.2 * y, name, color=colours[k], ha="center", va="center", fontsize=8, fontweight=weight)
    for k, other, _ in model.nearest():  # the shorter arc between both weights
        turn = (spokes[other] - spokes[k] + np.pi) % (2 * np.pi) - np.pi
        start, end = np.degrees(sorted((spokes[k], spokes[k] + turn)))
        axes.add_patch(Arc((0, 0), 0.8, 0.8, theta1=start, theta2=end, color=style.IMPORTANT, linewidth=2))
    axes.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), aspect="equal")
    axes.set_title("\n".join([model.label, *model.describe()]), fontsize=10)
