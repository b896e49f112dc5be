"""Each conclusion follows from numbers that allow no other one."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from camri_exp.reporting.conclusion import Conclusions, TaskConclusion, conclude
from camri_exp.reporting.selection import MethodResult, Task, TaskComparison


def row(method: str, recalls: Sequence[float], accuracy: float = 0.9, label: str = "") -> MethodResult:
    seeds: Mapping[int, float] = dict(enumerate(recalls))
    accuracies = {seed: accuracy + 0.001 * (seed % 2) for seed in seeds}
    mean = sum(recalls) / len(recalls) if recalls else float("nan")
    return MethodResult(method, label, seeds, accuracies, mean)


CE = row("ce", [0.60, 0.61, 0.59, 0.60], label="default")
GAIN = row("camri", [0.70, 0.72, 0.69, 0.70], accuracy=0.91, label="margin=0.2")
SMALL = row("camri", [0.70, 0.58, 0.66, 0.55])
NOT_KEPT = row("arcface", [])
WEAK, EQUAL, STRONG = (
    row("ce + threshold", recalls)
    for recalls in ([0.62, 0.64, 0.61, 0.63], [0.70, 0.71, 0.70, 0.72], [0.80, 0.82, 0.79, 0.80])
)


def conclusion(methods: list[MethodResult], threshold: MethodResult | None = None) -> TaskConclusion:
    task = Task("toy", "cnn", (0,), ("Stop",))
    return conclude(TaskComparison(task, CE, threshold, methods, [], []))


@pytest.mark.parametrize(
    ("methods", "threshold", "recommended", "words"),
    [
        (
            [GAIN, NOT_KEPT], WEAK, "camri",
            ["use camri (margin=0.2): recall +10.2 pp (95 % CI 9.5 to 11.0) vs. ce, accuracy +1.0 pp (1.0 to 1.0), "
             "4 seeds; recall +7.7 pp (95 % CI 7.0 to 8.5) vs. ce + threshold."],
        ),
        (
            [GAIN], STRONG, "threshold",
            ["use ce + threshold. camri (margin=0.2): recall +10.2 pp", "but recall -10.0 pp (95 % CI -10.0 to -10.0) "
             "vs. ce + threshold."],
        ),
        ([GAIN], EQUAL, "threshold", ["use ce + threshold, which needs no training", "no difference in recall to"]),
        (
            [GAIN], row("ce + threshold", [0.71, 0.70, 0.70, 0.69]), "threshold",
            ["no difference in recall to ce + threshold is shown", "more seeds would show a difference"],
        ),
        ([GAIN], None, "camri", ["Not compared with threshold moving: the baseline has no predictions.npz."]),
        ([GAIN], row("ce + threshold", [0.62]), "camri", ["Not compared with ce + threshold: 1 common seed."]),
        ([SMALL], None, None, ["not enough evidence: camri: recall", "more seeds would show a difference"]),
        (
            [SMALL], row("ce + threshold", [0.70, 0.72, 0.69, 0.70]), "threshold",
            ["not enough evidence", "Until then, use ce + threshold: recall +10.2 pp"],
        ),
        ([row("camri", [0.50, 0.61, 0.58, 0.60])], None, None, ["not expected to change the sign"]),
        ([row("camri", [0.50, 0.51, 0.50, 0.49])], None, "ce", ["use ce. camri: recall -10.0 pp (95 % CI -11.3"]),
        (
            [row("camri", [0.50, 0.51, 0.50, 0.49])], STRONG, "threshold",
            ["use ce + threshold: recall +20.3 pp", "4 seeds. camri: recall -10.0 pp"],
        ),
        ([row("camri", [0.7])], None, None, ["not enough evidence: camri and ce have 1 common seed, and a CI needs"]),
        ([NOT_KEPT], None, "ce", ["use ce. No configuration of arcface keeps the accuracy of ce", "tolerance=0.005"]),
        (
            [NOT_KEPT], STRONG, "threshold",
            ["use ce + threshold: recall +20.3 pp", "No configuration of arcface", "tolerance=0.005"],
        ),
        ([], None, None, ["there are only runs of ce"]),
        (
            [row("camri", [0.70, 0.72, 0.69, 0.70], accuracy=0.88)], WEAK, "threshold",
            ["use ce + threshold: recall +2.5 pp", "camri: recall +10.2 pp", "accuracy -2.0 pp", "than the margin of"],
        ),
    ],
)  # fmt: skip
def test_conclusion_fits_the_numbers(
    methods: list[MethodResult], threshold: MethodResult | None, recommended: str | None, words: list[str]
) -> None:
    result = conclusion(methods, threshold)

    assert result.recommended == recommended
    assert result.sentence.startswith("For Stop of toy: ")
    for part in words:
        assert part in result.sentence
    labels = {"camri": methods[0].label if methods else "", "threshold": "default", "ce": "default"}
    assert result.configuration == (None if recommended is None else labels[recommended])


def test_method_is_selected_by_the_selection_split() -> None:
    """The better method on test is not the one that validation selected."""
    lucky = MethodResult("lucky", "", {0: 0.9, 1: 0.91}, {0: 0.9, 1: 0.9}, selection_recall=0.1)
    sound = MethodResult("sound", "", {0: 0.7, 1: 0.71}, {0: 0.9, 1: 0.9}, selection_recall=0.8)
    result = conclusion([lucky, sound])

    assert result.best_loss == "sound"
    assert "lucky" not in result.sentence


@pytest.mark.parametrize(("accuracy", "non_inferior"), [(0.9, True), (0.896, True), (0.894, False)])
def test_accuracy_is_non_inferior_when_its_interval_lies_above_the_margin(accuracy: float, non_inferior: bool) -> None:
    change = conclusion([row("camri", [0.70, 0.72, 0.69, 0.70], accuracy=accuracy)]).accuracy
    assert change.mean == pytest.approx(accuracy - 0.9)
    assert (change.margin, change.non_inferior) == (0.005, non_inferior)


def test_record_is_the_documented_one_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "conclusions.json"
    Conclusions(tasks=[conclusion([GAIN], WEAK), conclusion([NOT_KEPT])]).write(path)
    content = json.loads(path.read_text())
    known, unknown = content["tasks"]

    assert content["schema"] == 1
    assert known["important_class"] == [0]
    assert known["important_class_names"] == ["Stop"]
    assert set(known["gain"]) == {"mean", "low", "high", "shown", "seeds"}
    assert set(known["accuracy"]) == {"mean", "low", "high", "non_inferior", "margin"}
    assert set(known["against_threshold"]) == {"mean", "low", "high", "shown"}
    assert known["gain"]["mean"] == pytest.approx(0.1025)
    assert (known["gain"]["shown"], known["gain"]["seeds"]) == (True, 4)
    assert unknown["gain"] == {"mean": None, "low": None, "high": None, "shown": False, "seeds": 0}
    assert unknown["accuracy"]["non_inferior"] is None
    first, second = Conclusions.read(path).tasks
    assert first == conclusion([GAIN], WEAK)
    assert math.isnan(second.gain.mean)
