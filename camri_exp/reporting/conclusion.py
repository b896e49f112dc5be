"""One case in plain words: which setting to use, what it gains and costs, and whether the evidence is enough."""

import math
from dataclasses import dataclass

from camri_exp.reporting.selection import MethodResult, TaskComparison
from camri_exp.reporting.statistics import Difference, difference, seeds_needed

MOST_SEEDS = 200  # beyond this the answer is that the difference does not matter


@dataclass(frozen=True)
class TaskConclusion:
    """What a report concludes on one task."""

    sentence: str


def conclude(comparison: TaskComparison) -> TaskConclusion:
    return TaskConclusion(_sentence(comparison))


def _sentence(judged: TaskComparison) -> str:
    """A line to act on. A difference counts as shown when its 95 % interval over paired seeds excludes zero."""
    case, base = judged.task, judged.baseline
    where = f"{case.classes} of {case.data}"
    best = max((row for row in judged.methods if row.seeds), key=lambda row: row.selection_recall, default=None)
    if best is None:
        return f"For {where}: {_nothing_kept(judged)}"
    gain = difference(best.recall, base.recall)
    if not gain.shown or gain.mean <= 0:
        return f"For {where}: {_not_shown(best, base, gain, judged.threshold)}"
    words = (
        f"finds {points(gain)} {more(gain)} of it than {base.method} on {gain.n} seeds, "
        f"at {cost(difference(best.accuracy, base.accuracy))}"
    )
    return f"For {where}: {_against_rival(best, words, judged.threshold)}"


def name(row: MethodResult) -> str:
    return f"{row.method} ({row.label})" if row.label else row.method


def points(change: Difference) -> str:
    """``2.1 points (95 % interval 0.4 to 3.8)``: percentage points, without the sign of the mean."""
    sign = math.copysign(100, change.mean)
    low, high = sorted((sign * change.low, sign * change.high))
    return f"{abs(100 * change.mean):.1f} points (95 % interval {low:.1f} to {high:.1f})"


def more(change: Difference) -> str:
    return "more" if change.mean >= 0 else "less"


def cost(change: Difference) -> str:
    if not change.known:
        return f"an accuracy {'higher' if change.mean >= 0 else 'lower'} by {abs(100 * change.mean):.1f} points"
    return f"an accuracy {'higher' if change.mean >= 0 else 'lower'} by {points(change)}"


def _nothing_kept(judged: TaskComparison) -> str:
    tried = ", ".join(row.method for row in judged.methods)
    if not tried:
        return f"there is only {judged.baseline.method}; nothing to compare. Add runs of another loss."
    text = f"no setting of {tried} keeps the accuracy of {judged.baseline.method}; stay with it"
    if judged.threshold is not None:
        gain = difference(judged.threshold.recall, judged.baseline.recall)
        if gain.shown and gain.mean > 0:
            text += f", and move its threshold, which gains {points(gain)}"
    return text + ". Or allow a loss: tolerance=0.005"


def _not_shown(best: MethodResult, base: MethodResult, gain: Difference, rival: MethodResult | None) -> str:
    if not gain.known:
        text = f"the evidence is not enough: {name(best)} and {base.method} share {gain.n} seed{'s' * (gain.n != 1)}, "
        text += "which says nothing about chance; five seeds are a beginning"
    elif gain.shown:
        text = f"stay with {base.method}: {name(best)}, the best loss on validation, finds {points(gain)} less of it "
        text += f"on {gain.n} seeds"
    else:
        text = f"the evidence is not enough: {name(best)} finds {points(gain)} {more(gain)} of it than {base.method} "
        text += f"on {gain.n} seeds; {_seeds_to_go(gain)}"
    moved = None if rival is None else difference(rival.recall, base.recall)
    if moved is not None and moved.shown and moved.mean > 0:
        text += f". Moving the threshold of {base.method} gains {points(moved)}: use that meanwhile"
    return text + "."


def _seeds_to_go(change: Difference) -> str:
    if change.mean <= 0:
        return "more seeds are not expected to turn that round"
    needed = seeds_needed(change, most=MOST_SEEDS)
    if needed is None:
        return f"not even {MOST_SEEDS} seeds would show a difference this small"
    lacking = max(needed - change.n, 1)
    return f"if it is real, {lacking} more seed{'s' * (lacking != 1)} would show it"


def _against_rival(best: MethodResult, words: str, rival: MethodResult | None) -> str:
    use = f"use {name(best)}: it {words}."
    if rival is None:
        return f"{use} Threshold moving is not known: the baseline's predictions.npz is missing."
    lead = difference(best.recall, rival.recall)
    if not lead.known:
        return f"{use} Whether that beats threshold moving is not known: they share {lead.n} seeds."
    if lead.shown and lead.mean > 0:
        return f"{use} It beats threshold moving, by {points(lead)}."
    if lead.shown:
        return f"use {rival.method}: it finds {points(lead)} more than the best loss. {name(best)} {words}."
    text = f"{name(best)} {words}. But moving the threshold of the baseline does as well ({points(lead)} {more(lead)} "
    text += "for the loss) and needs no training: use that"
    return text + ("." if lead.mean <= 0 else f", or tell them apart: {_seeds_to_go(lead)}.")
