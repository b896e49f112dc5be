"""The reliability diagram."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from camri_exp.figures import style
from camri_exp.metrics.calibration import Reliability
from camri_exp.metrics.intervals import wilson


def reliability_diagram(diagrams: Mapping[str, Reliability], split: str = "test") -> Figure:
    """Observed frequency against predicted probability, one panel per entry of ``diagrams``.

    A calibrated model lies on the diagonal. Error bars are Wilson's 95 % CIs, because a bin of a few images is
    uncertain; the lower panels show the number of images per bin.
    """
    figure = style.new(4.2 * len(diagrams), 5.0)
    panels = figure.subplots(2, len(diagrams), sharex=True, squeeze=False, height_ratios=(3, 1))
    for column, (name, diagram) in enumerate(diagrams.items()):
        above, below = panels[0, column], panels[1, column]
        edges = np.linspace(0, 1, len(diagram.count) + 1)
        above.plot([0, 1], [0, 1], color=style.FAINT, linewidth=1, linestyle="--")
        for confidence, frequency, count in zip(diagram.confidence, diagram.frequency, diagram.count, strict=True):
            if count:
                interval = wilson(round(frequency * count), count)
                above.plot([confidence] * 2, [interval.low, interval.high], color=style.OTHER, linewidth=1.2)
                above.plot(confidence, frequency, "o", color=style.OTHER, ms=5, clip_on=False)
        above.set(xlim=(0, 1), ylim=(0, 1.02), title=f"{name}\ncalibration error {diagram.error:.4f}")
        above.set_ylabel("observed frequency" if not column else "")
        below.bar(edges[:-1], diagram.count, np.diff(edges), align="edge", color=style.OTHER, edgecolor="white")
        below.set_yscale("log")
        below.set(xlabel="predicted probability", ylabel="images" if not column else "")
        style.grid(above)
        style.grid(below)
    figure.suptitle(f"Reliability ({split})", fontsize=11)
    return figure
