"""Random predictions to draw, and whether the texts of a figure overlap."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

Array = npt.NDArray[Any]
NAMES = [f"Speed limit {k}, end of the motorway and of all" for k in range(43)]


def random_scores(n: int = 400, classes: int = 43, seed: int = 0) -> tuple[Array, Array]:
    """Scores (n, K) of a model that is mostly right, and the targets (n,)."""
    random = np.random.default_rng(seed)
    target = random.integers(classes, size=n)
    scores = random.normal(size=(n, classes))
    scores[np.arange(n), target] += 3
    return scores, target


def text_boxes(figure: Figure, texts: Iterable[Text]) -> list[Bbox]:
    """The boxes of the texts that are not empty, on the drawn figure."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    return [text.get_window_extent(renderer) for text in texts if text.get_text()]


def overlaps(boxes: Sequence[Bbox]) -> list[tuple[Bbox, Bbox]]:
    """The pairs of boxes that overlap by more than half a pixel."""
    return [(a, b) for a, b in combinations(boxes, 2) if a.padded(-0.5).overlaps(b.padded(-0.5))]
