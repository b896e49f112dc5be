"""The last line: each conclusion follows from numbers that lead to no other."""

from collections.abc import Mapping, Sequence

import pytest

from camri_exp.reporting.conclusion import conclude
from camri_exp.reporting.selection import MethodResult, Task, TaskComparison


def row(method: str, recalls: Sequence[float], accuracy: float = 0.9, setting: str = "") -> MethodResult:
    seeds: Mapping[int, float] = dict(enumerate(recalls))
    accuracies = {seed: accuracy + 0.001 * (seed % 2) for seed in seeds}
    mean = sum(recalls) / len(recalls) if recalls else float("nan")
    return MethodResult(method, setting, seeds, accuracies, mean)


CE = row("ce", [0.60, 0.61, 0.59, 0.60])
GAIN = row("camri", [0.70, 0.72, 0.69, 0.70], accuracy=0.91, setting="margin=0.2")
SMALL = row("camri", [0.70, 0.58, 0.66, 0.55])
NOT_KEPT = row("arcface", [])


def said(methods: list[MethodResult], rival: MethodResult | None = None, baseline: MethodResult = CE) -> str:
    return conclude(TaskComparison(Task("toy", "cnn", (0,), "Stop"), baseline, rival, methods, [], [])).sentence


@pytest.mark.parametrize(
    ("methods", "rival", "words"),
    [
        (
            [GAIN, NOT_KEPT],
            row("ce + threshold", [0.62, 0.64, 0.61, 0.63]),
            ["use camri (margin=0.2): it finds 10.2 points", "higher by 1.0 points", "It beats threshold moving"],
        ),
        ([GAIN], row("ce + threshold", [0.80, 0.82, 0.79, 0.80]), ["use ce + threshold: it finds 10.0 points"]),
        ([GAIN], row("ce + threshold", [0.70, 0.71, 0.70, 0.72]), ["does as well", "use that."]),
        ([GAIN], row("ce + threshold", [0.71, 0.70, 0.70, 0.69]), ["does as well", "more seeds would show it"]),
        ([GAIN], None, ["predictions.npz is missing"]),
        ([SMALL], None, ["the evidence is not enough", "if it is real,", "more seeds would show it"]),
        ([SMALL], row("ce + threshold", [0.70, 0.72, 0.69, 0.70]), ["Moving the threshold of ce gains 10.2 points"]),
        ([row("camri", [0.50, 0.61, 0.58, 0.60])], None, ["not expected to turn that round"]),
        ([row("camri", [0.50, 0.51, 0.50, 0.49])], None, ["stay with ce: camri", "finds 10.0 points", "less"]),
        ([row("camri", [0.7])], None, ["camri and ce share 1 seed, which says nothing about chance"]),
        ([NOT_KEPT], None, ["no setting of arcface keeps the accuracy of ce", "tolerance=0.005"]),
        ([], None, ["there is only ce"]),
    ],
)  # fmt: skip
def test_conclusion_fits_the_numbers(methods: list[MethodResult], rival: MethodResult | None, words: list[str]) -> None:
    text = said(methods, rival)

    assert text.startswith("For Stop of toy: ")
    for part in words:
        assert part in text


def test_method_is_chosen_by_the_selection_split() -> None:
    """The better one on test is not the one that validation had chosen."""
    lucky = MethodResult("lucky", "", {0: 0.9, 1: 0.91}, {0: 0.9, 1: 0.9}, selection_recall=0.1)
    sound = MethodResult("sound", "", {0: 0.7, 1: 0.71}, {0: 0.9, 1: 0.9}, selection_recall=0.8)

    assert "sound" in said([lucky, sound])
    assert "lucky" not in said([lucky, sound])
