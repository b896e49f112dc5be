"""A conclusion in words, in at most three sentences: what to use, what it gains and costs, and compared with what."""

import math

from camri_exp.reporting.crossed import NewImages
from camri_exp.reporting.evidence import Evidence
from camri_exp.reporting.selection import MethodResult, Protocol
from camri_exp.reporting.statistics import MOST_SEEDS, Difference, seeds_for_power

FEW = 100  # images or groups; fewer are counted in the sentence


def sentence(evidence: Evidence, baseline: str, recommended: str | None, shown: bool, protocol: Protocol) -> str:
    """The conclusion; ``shown`` says whether the change in recall is."""
    best = evidence.best
    if best is None:
        return _without_loss(evidence, baseline, recommended, protocol)
    if recommended == best.method:
        return f"use {_name(best)}. {_effect(evidence, baseline, protocol)}. {_against_threshold(evidence, protocol)}"
    if recommended == "threshold":
        return f"use {_threshold(evidence, baseline, protocol)}. {_selected(evidence, baseline, shown, protocol)}"
    if recommended == baseline:
        return f"use {baseline}. {_name(best)}: {_effect(evidence, baseline, protocol)}."
    if not evidence.gain.known:
        return f"not enough evidence. {_no_interval(evidence, baseline)}"
    if shown:
        text = f"{_name(best)} finds more than {baseline}, but {_why_not(evidence)}"
        return f"{text}. {_effect(evidence, baseline, protocol)}. {_against_threshold(evidence, protocol)}"
    text = f"not enough evidence. {_name(best)}: {_effect(evidence, baseline, protocol)}"
    if evidence.gain.shown:
        text += "; the CI is for one task alone, and with Holm's rule for all tasks of this report nothing is shown"
    return f"{text}; {_seeds_to_go(evidence.gain, protocol)}"


def _why_not(evidence: Evidence) -> str:
    """Why a loss that finds more is not recommended."""
    if not evidence.lead.shown:
        return "it is not known whether a moved threshold does as well"
    return "with the right threshold the baseline finds still more; which one that is, validation does not show"


def _without_loss(evidence: Evidence, baseline: str, recommended: str | None, protocol: Protocol) -> str:
    if not evidence.tried:
        reason = f"there are only runs of {baseline}. Add runs of another loss."
    else:
        tried = ", ".join(evidence.tried)
        reason = (
            f"No configuration of {tried} keeps the accuracy of {baseline} on validation; to allow less: "
            "tolerance=0.005"
        )
    if recommended == "threshold":
        return f"use {_threshold(evidence, baseline, protocol)}. {reason[0].upper()}{reason[1:]}"
    return f"use {recommended}. {reason}" if recommended else reason


def _selected(evidence: Evidence, baseline: str, shown: bool, protocol: Protocol) -> str:
    """What is known of the selected loss, where threshold moving is recommended."""
    assert evidence.best is not None
    gain = evidence.gain
    if not gain.known:
        return _no_interval(evidence, baseline)
    text = f"{_name(evidence.best)}: recall {points(gain)} vs. {baseline}"
    if not shown:
        return f"{text}, which is not shown; {_seeds_to_go(gain, protocol)}"
    if gain.mean < 0:
        return f"{text}."
    return f"{text}, accuracy {_accuracy(evidence.accuracy, protocol)}. {_against_threshold(evidence, protocol)}"


def _effect(evidence: Evidence, baseline: str, protocol: Protocol) -> str:
    """What the selected loss gains and costs, for new seeds and for new images."""
    gain, new = evidence.gain, evidence.new_images
    if not gain.n:
        return f"It has no seeds in common with {baseline}"
    text = f"On these test images recall {points(gain)} vs. {baseline}, {gain.n} seeds"
    if new is not None and not math.isnan(new.interval.low):
        text += f"; for new {'groups' if new.grouped else 'images'} ({_limits(new.interval.low, new.interval.high)})"
        text += _count(new)
    return f"{text}; accuracy {_accuracy(evidence.accuracy, protocol)}"


def _count(new: NewImages) -> str:
    """The number of independent images or groups, where it is small."""
    if new.grouped:
        return f", from {new.units} groups" if new.units < FEW else ""
    if new.perhaps is not None:
        return f", from {new.units} images, perhaps only {new.perhaps} group{'s' * (new.perhaps != 1)}"
    return f", from {new.units} images" if new.units < FEW else ""


def _accuracy(change: Difference, protocol: Protocol) -> str:
    """``+0.7 pp (0.0 to 1.4), not lower by 0.5 pp``."""
    known, margin = change.above(-protocol.margin), f"{100 * protocol.margin:g} pp"
    if known is None:
        return f"{_percent(change.mean):+.1f} pp with every seed"
    text = f"{_percent(change.mean):+.1f} pp ({_limits(change.low, change.high)})"
    if known:
        return f"{text}, shown not to be lower by {margin}"
    if change.high < -protocol.margin:
        return f"{text}, lower by more than {margin}"
    return f"{text}, not known to within {margin}"


def _threshold(evidence: Evidence, baseline: str, protocol: Protocol) -> str:
    """Threshold moving, with its gain and its price."""
    assert evidence.threshold is not None
    gain, accuracy = evidence.threshold_gain, _accuracy(evidence.threshold_accuracy, protocol)
    return f"{evidence.threshold.method}: recall {points(gain)} vs. {baseline}, accuracy {accuracy}, {gain.n} seeds"


def _against_threshold(evidence: Evidence, protocol: Protocol) -> str:
    """The comparison with the baseline's best threshold at the accuracy of the loss."""
    lead, worth = evidence.lead, f"{100 * protocol.worth:g} pp"
    if evidence.threshold is None:
        return "Not compared with threshold moving: the baseline has no predictions.npz."
    if not lead.n:
        return "Not compared with threshold moving: no run of the selected seeds has predictions.npz."
    if not lead.known:
        return f"Compared with the best threshold of equal accuracy: recall {_percent(lead.mean):+.1f} pp, no CI."
    text = f"Compared with the best threshold of equal accuracy: recall {points(lead)}"
    if lead.shown:
        return f"{text}."
    if lead.within(protocol.worth):
        return f"{text}, as good to within {worth}."
    return f"{text}: neither better nor as good to within {worth}; {_seeds_to_go(lead, protocol)}"


def _no_interval(evidence: Evidence, baseline: str) -> str:
    """Why there is no CI of the gain."""
    assert evidence.best is not None
    gain = evidence.gain
    if gain.n > 1:
        text = f"{_name(evidence.best)} and {baseline} differ by {_percent(gain.mean):+.1f} pp in recall with each of "
        return f"{text}{gain.n} seeds, too few to know the spread. Add seeds."
    return f"{_name(evidence.best)} and {baseline} have {_common(evidence)}, and a CI needs two. Start with five seeds."


def _common(evidence: Evidence) -> str:
    count = evidence.gain.n or evidence.common
    return f"{count or 'no'} common seed{'s' * (count != 1)}"


def _seeds_to_go(change: Difference, protocol: Protocol) -> str:
    """How many new seeds would show a gain that is worth having."""
    needed, worth = seeds_for_power(change, protocol.worth), f"{100 * protocol.worth:g} pp"
    if needed is None:
        return f"more than {MOST_SEEDS} new seeds would be needed to show a gain of {worth}."
    text = f"{needed} new seeds, judged without the present ones, would show a gain of {worth} in four of five cases"
    return f"{text}."


def _name(result: MethodResult) -> str:
    return f"{result.method} ({result.label})" if result.label else result.method


def points(change: Difference) -> str:
    """``+2.1 pp (95 % CI 0.4 to 3.8)``."""
    if not change.known:
        return f"{_percent(change.mean):+.1f} pp"
    return f"{_percent(change.mean):+.1f} pp (95 % CI {_limits(change.low, change.high)})"


def _limits(low: float, high: float) -> str:
    return f"{_percent(low):.1f} to {_percent(high):.1f}"


def _percent(share: float) -> float:
    return round(100 * share, 1) + 0.0  # the sum turns -0.0 into 0.0
