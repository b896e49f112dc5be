"""Angles to the weight of the own class, of the important classes and of the others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from camri_exp.figures import style


def angle_histograms(
    angle: npt.NDArray[Any], target: npt.NDArray[Any], important: Sequence[int], names: str, split: str = "test"
) -> Figure:
    """Histograms of the angle (n,) in radians between a feature and the weight of its own class, in degrees.

    The important classes are filled, the others are a line; a tick at the top marks each mean.
    """
    degrees, inside = np.degrees(angle), np.isin(target, list(important))
    figure = style.new(6.4, 4.0)
    axes = figure.add_subplot()
    edges = np.histogram_bin_edges(degrees, bins=40) if len(degrees) else np.linspace(0, 90, 41)
    groups: tuple[tuple[npt.NDArray[Any], str, str, dict[str, Any]], ...] = (
        (degrees[inside], names, style.IMPORTANT, {"histtype": "stepfilled", "alpha": 0.55, "hatch": "///"}),
        (degrees[~inside], "other classes", style.OTHER, {"histtype": "step", "linewidth": 1.8}),
    )
    for values, label, colour, options in groups:
        if not len(values):
            continue
        legend = f"{label}: {values.mean():.1f}° ± {values.std():.1f}° (n = {len(values)})"
        shares = np.full(len(values), 1 / len(values))
        axes.hist(values, edges.tolist(), weights=shares, color=colour, edgecolor=colour, label=legend, **options)
        axes.axvline(values.mean(), ymin=0.93, color=colour, linewidth=2.5)
    axes.set(xlabel="angle to the weight of the own class (degrees)", ylabel="share of images")
    axes.set_title(f"Angles between features and their class ({split})")
    axes.legend(fontsize=8)
    axes.margins(y=0.12)
    style.grid(axes)
    return figure
