"""Colours, sizes and helpers that all figures share.

Colours differ in lightness and markers in shape, for grey print and for colour-blind readers.
"""

import io
import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from camri_exp.files import atomic_write

# Near Okabe and Ito's palette, with a darker blue so that the colours also differ in grey print.
IMPORTANT, OTHER, NEUTRAL, FAINT = "#d55e00", "#005a8e", "#333333", "#a6a6a6"
LONGEST = 28  # letters of a class name on an axis


def short(name: str, longest: int = LONGEST) -> str:
    """A name for matplotlib: at most ``longest`` letters, with escaped dollars, which would start a formula."""
    name = name if len(name) <= longest else name[: longest - 1] + "…"
    return name.replace("$", r"\$")


def new(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", dpi=150)


def grid(axes: Axes) -> None:
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def mark_labels(axes: Axes, important: list[int], which: str = "y") -> None:
    """Make the tick labels of the important classes bold and vermilion; ``which`` is the axis, ``x`` or ``y``."""
    labels = axes.get_yticklabels() if which == "y" else axes.get_xticklabels()
    for k in important:
        labels[k].set(color=IMPORTANT, fontweight="bold")


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def picture(figure: Figure) -> Image.Image:
    return Image.open(io.BytesIO(png(figure))).convert("RGB")


def save(figure: Figure, path: Path) -> None:
    """Write a PNG file atomically."""
    with atomic_write(path, "wb") as file:
        file.write(png(figure))


def columns_for(count: int, most: int) -> int:
    """The number of columns, at most ``most``, with which ``count`` panels form a rectangle wider than high."""
    return max(1, min(most, math.ceil(math.sqrt(count * 1.6))))
