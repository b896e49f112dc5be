"""The short table on the screen."""

import math
from collections.abc import Iterator

from camri_exp.evaluation.promise_text import sentences
from camri_exp.evaluation.record import Angles, CalibrationBins, Comparison, Evaluation, ShareInterval
from camri_exp.metrics.intervals import Paired

MOST_MISTAKES = 5
LONGEST = 40  # letters of the names of all important classes together; longer ones are counted instead


def summary_table(evaluation: Evaluation) -> str:
    """The main numbers of an evaluation, in about a dozen lines."""
    source = f"{evaluation.data}, loss {evaluation.loss}, {evaluation.model}, seed {evaluation.seed}"
    lines = [f"{source}: {evaluation.images} {evaluation.split} images", ""]
    rows = [*_headline(evaluation), *_details(evaluation)]
    differences = [] if evaluation.comparison is None else list(_comparison(evaluation.comparison))
    width = max(len(label) for label, _ in rows + differences)
    lines += [f"{label:{width}}  {text}" for label, text in rows]
    lines += ["", *(f"{label:{width}}  {text}" for label, text in differences)]
    if evaluation.promise is not None:
        lines += [*sentences(evaluation.promise), ""]
    lines += [f"note: {note}" for note in evaluation.notes]
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def _headline(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    important, intervals = evaluation.important_class_names, evaluation.intervals
    names = ", ".join(important)
    if len(important) > 1 and len(names) > LONGEST:
        names = f"{len(important)} classes"
    yield "", f"{'value':>7}  95 % CI"
    yield "accuracy", f"{evaluation.accuracy:7.4f}  {_interval(intervals.accuracy)}"
    yield f"recall of {names}", f"{evaluation.recall_important:7.4f}  {_interval(intervals.recall_important)}"
    yield f"precision of {names}", f"{evaluation.precision_important:7.4f}  {_interval(intervals.precision_important)}"
    yield "macro recall", f"{evaluation.macro_recall:7.4f}"
    if len(evaluation.important_class) > 1:
        for k in evaluation.important_class:
            row = evaluation.per_class[k]
            yield f"recall of {row.class_name}", f"{row.recall:7.4f}  {row.recall_low:.4f} to {row.recall_high:.4f}"
        both = evaluation.important_set
        yield "recall of any", f"{both.recall:7.4f}  {both.recall_low:.4f} to {both.recall_high:.4f}"


def _interval(interval: ShareInterval | None) -> str:
    if interval is None:
        return ""
    ends = "" if math.isnan(interval.low) else f"{interval.low:.4f} to {interval.high:.4f}"
    if (by_group := interval.by_group) is None:
        return ends
    return f"{ends or 'unknown'} over {by_group.groups} group{'s' * (by_group.groups > 1)}"


def _details(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    for name, mistakes in evaluation.mistaken_for.items():
        text = ", ".join(f"{mistake.class_name} ({mistake.count})" for mistake in mistakes[:MOST_MISTAKES])
        more = len(mistakes) - MOST_MISTAKES
        yield f"{name} is mistaken for", (text or "no other class") + (f" and {more} others" if more > 0 else "")
    if (moved := evaluation.threshold) is not None:
        point = moved.on(evaluation.split)
        yield (
            "threshold moving",
            f"bias {moved.bias:+.4g}, chosen on validation: recall {point.recall:.4f}, "
            f"precision {point.precision:.4f}, accuracy {point.accuracy:.4f}",
        )
    if (calibration := evaluation.calibration) is not None:
        yield (
            "calibration error",
            f"{_calibration(calibration.top_label)}; of the important class {_calibration(calibration.important)}",
        )
    if evaluation.angles is not None:
        yield from _angles(evaluation.angles)


def _calibration(bins: CalibrationBins) -> str:
    expected = "" if math.isnan(bins.error_if_calibrated) else f" (if calibrated {bins.error_if_calibrated:.4f})"
    return f"{bins.error:.4f}{expected}"


def _angles(angles: Angles) -> Iterator[tuple[str, str]]:
    important = f"{_degrees(angles.mean_important)} ± {_degrees(angles.var_important**0.5)}"
    others = f"{_degrees(angles.mean_rest)} ± {_degrees(angles.var_rest**0.5)}"
    yield (
        "angle to own weight",
        f"{important} (others {others}); variance within a class {angles.var_ratio:.3g} times that of the others",
    )
    if (weights := angles.weights) is not None:
        nearest = ", ".join(
            f"{name} to {other.class_name} {_degrees(other.angle)}"
            for name, other in weights.nearest_to_important.items()
        )
        smallest = f"smallest {_degrees(weights.smallest_angle)} ({', '.join(weights.between)})"
        yield "between weights", f"{nearest}; {smallest}"


def _degrees(radians: float) -> str:
    return f"{math.degrees(radians):.1f}°"


def _comparison(comparison: Comparison) -> Iterator[tuple[str, str]]:
    other = comparison.compared_with
    yield "difference from", f"{other} (loss {other.loss}), same images"
    test = "McNemar's exact" if comparison.resampled == "images" else "sign flips of groups,"
    yield "accuracy", _difference(comparison.accuracy, test)
    for name, paired in comparison.recall.items():
        yield f"recall of {name}", _difference(paired, test)
    yield "", ""


def _difference(paired: Paired, test: str) -> str:
    ends = "CI unknown" if math.isnan(paired.low) else f"{paired.low:+.4f} to {paired.high:+.4f}"
    only = f"only correct here {paired.only_mine}, only there {paired.only_other}"
    return f"{paired.difference:+.4f}  {ends}; {only}: {test} p = {paired.p_value:.3g}"
