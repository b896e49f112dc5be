"""The choice of a threshold on validation, by a rule that keeps the accuracy."""

from collections.abc import Sequence

import numpy as np

from camri_exp.metrics.non_inferiority import not_worse
from camri_exp.metrics.threshold import Array, Point, are_distinct, changes_of, curve, running_hits

MARGIN = 0.005  # loss of accuracy that a bias is shown not to exceed: half a percentage point


def tuned_threshold(
    scores: Array,
    target: Array,
    important: Sequence[int],
    tolerance: float = 0.0,
    margin: float = MARGIN,
    reference: Array | None = None,
) -> Point | None:
    """The point of largest recall whose accuracy is shown to be at least the unmoved one minus margin and tolerance.

    Biases from 0 upwards are tested in turn, until the first one for which ``not_worse`` does not reject a larger loss
    of accuracy (a fixed sequence keeps the level without a correction). The largest bias that loses nothing on these
    very images would lose accuracy on others, because it is the last one of many that passed by chance. Of equal
    recalls the most accurate point is chosen, then the smallest bias. A few hundred images can show nothing: with a
    margin of half a percentage point, 540 without a changed prediction are the fewest.

    Args:
        scores: (n, K).
        target: (n,).
        important: ids of the important classes.
        tolerance: accuracy that may be lost.
        margin: the loss that is excluded, beyond ``tolerance``.
        reference: hits (n,) of the unmoved model, where ``scores`` are not its own but calibrated ones.

    Returns:
        The point; without ``reference`` the unmoved model where no bias passes, with it None.

    Raises:
        ValueError: no images, or no class outside ``important``.
    """
    points, changes = curve(scores, target, important), changes_of(scores, target, important)
    before = scores.argmax(1) == target if reference is None else np.asarray(reference, dtype=bool)
    before, target = before[changes.order], target[changes.order]
    inner, outer = changes.inner == target, changes.outer == target
    distinct, zero = are_distinct(changes.d), int(np.flatnonzero(points.bias == 0)[0])
    gained = running_hits(inner & ~before, outer & ~before)[distinct][zero:]
    lost = before.sum() - running_hits(inner & before, outer & before)[distinct][zero:]
    passed = np.logical_and.accumulate(not_worse(gained, lost, len(target), margin + tolerance))
    if not passed[0] and reference is not None:
        return None
    last = zero + max(int(passed.sum()), 1)
    recall, accuracy = points.recall[zero:last].round(9), points.accuracy[zero:last].round(9)
    return points.point(zero + int(np.lexsort([points.bias[zero:last], -accuracy, -recall])[0]))
