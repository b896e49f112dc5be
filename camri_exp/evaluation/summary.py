"""The short table on the screen."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

MOST_MISTAKES = 5
LONGEST = 40  # letters of all important classes' names together


def table(found: Mapping[str, Any]) -> str:
    """What ``measure`` found, in a dozen lines."""
    title = f"{found['data']}, loss {found['loss']}, {found['model']}, seed {found['seed']}"
    lines = [f"{title}: {found['images']} {found['split']} images", ""]
    rows, compared = [*_headline(found), *_details(found)], [*_comparison(found)]
    width = max(len(label) for label, _ in rows + compared)
    lines += [f"{label:{width}}  {text}" for label, text in rows]
    lines += ["", *(f"{label:{width}}  {text}" for label, text in compared)]
    lines += [f"note: {note}" for note in found["notes"]]
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def _headline(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = _together(found)
    yield "", f"{'value':>7}  95 % interval"
    for label, key in (
        ("accuracy", "accuracy"),
        (f"recall of {names}", "recall_important"),
        (f"precision of {names}", "precision_important"),
        ("macro recall", "macro_recall"),
    ):
        yield label, f"{found[key]:7.4f}  {_interval(found['intervals'].get(key))}"
    if len(found["important_class"]) > 1:
        rows = {row["class"]: row for row in found["per_class"]}
        for name in found["important_class_names"]:
            low, high = rows[name]["recall_low"], rows[name]["recall_high"]
            yield f"recall of {name}", f"{rows[name]['recall']:7.4f}  {low:.4f} to {high:.4f}"
        both = found["important_set"]
        yield "recall of any", f"{both['recall']:7.4f}  {both['recall_low']:.4f} to {both['recall_high']:.4f}"


def _together(found: Mapping[str, Any]) -> str:
    """The important classes' names in a row, if that is not too long."""
    names = found["important_class_names"]
    together = ", ".join(names)
    return together if len(names) == 1 or len(together) <= LONGEST else f"{len(names)} classes"


def _interval(found: Mapping[str, Any] | None) -> str:
    if found is None or math.isnan(found["low"]):
        return ""
    text = f"{found['low']:.4f} to {found['high']:.4f}"
    if "by_group" in found:
        group = found["by_group"]
        between = "unknown" if math.isnan(group["low"]) else f"{group['low']:.4f} to {group['high']:.4f}"
        text += f"; over {group['groups']} group{'s' * (group['groups'] > 1)} {between}"
    return text


def _details(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, mistakes in found["mistaken_for"].items():
        text = ", ".join(f"{one['class']} ({one['count']})" for one in mistakes[:MOST_MISTAKES])
        more = len(mistakes) - MOST_MISTAKES
        yield f"{name} is taken for", (text or "nothing else") + (f" and {more} others" if more > 0 else "")
    if (moved := found["threshold"]) is not None:
        here = moved[found["split"]]
        yield (
            "threshold moving",
            f"bias {moved['bias']:+.4g}, chosen on validation: recall {here['recall']:.4f}, "
            f"precision {here['precision']:.4f}, accuracy {here['accuracy']:.4f}",
        )
    if (sure := found["calibration"]) is not None:
        yield (
            "calibration error",
            f"{sure['top_label']['error']:.4f}; of the important class {sure['important']['error']:.4f}",
        )
    if found["angles"] is not None:
        yield from _angles(found["angles"])


def _angles(angles: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    sides = (f"{_degrees(angles[f'mean_{side}'])} ± {_degrees(angles[f'var_{side}'] ** 0.5)}" for side in SIDES)
    yield (
        "angle to own weight",
        "{} (others {}); variance within a class {:.3g} times the others'".format(*sides, angles["var_ratio"]),
    )
    if angles["weights"] is not None:
        weights = angles["weights"]
        nearest = ", ".join(
            f"{name} to {one['class']} {_degrees(one['angle'])}"
            for name, one in weights["nearest_to_important"].items()
        )
        yield (
            "between weights",
            f"{nearest}; smallest {_degrees(weights['smallest_angle'])} " + "({}, {})".format(*weights["between"]),
        )


SIDES = ("important", "rest")


def _degrees(radians: float) -> str:
    return f"{math.degrees(radians):.1f}°"


def _comparison(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "comparison" not in found:
        return
    against = found["comparison"]["with"]
    yield "difference from", f"{against.get('run', against.get('checkpoint'))} (loss {against['loss']}), same images"
    for label, one in found["comparison"].items():
        if label in ("with", "resampled"):
            continue
        between = "interval unknown" if math.isnan(one["low"]) else f"{one['low']:+.4f} to {one['high']:+.4f}"
        sign = f"{one['difference']:+.4f}  {between}"
        alone = f"right here alone {one['only_mine']}, there alone {one['only_other']}"
        yield label, f"{sign}; {alone}: McNemar's exact p = {one['p_value']:.3g}"
    yield "", ""
