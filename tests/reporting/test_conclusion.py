"""Each conclusion follows from numbers that allow no other one."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulation.sweeps import Scores, stored_run, sweep_of_moved_thresholds

from camri_exp.reporting.conclusion import Conclusions, TaskConclusion, conclude, recommendation
from camri_exp.reporting.evidence import Evidence
from camri_exp.reporting.runs import Run
from camri_exp.reporting.selection import MethodResult, Protocol, compare_methods
from camri_exp.reporting.sentences import sentence
from camri_exp.reporting.statistics import UNKNOWN, Difference, difference


def change(*values: float) -> Difference:
    return difference(dict(enumerate(values)))


CAMRI = MethodResult("camri", "margin=0.2", {0: 0.7, 1: 0.7}, {0: 0.9, 1: 0.9}, 0.7)
MOVED = MethodResult("ce + threshold", "bias tuned per run", {0: 0.6, 1: 0.6}, {0: 0.9, 1: 0.9}, 0.6)
GAIN, LOSS, WIDE = change(0.10, 0.12, 0.09, 0.10), change(-0.10, -0.12, -0.09), change(0.1, -0.05, 0.08, -0.06)
KEPT, LOWER, VAGUE = change(0.0, 0.001, -0.001, 0.0), change(-0.02, -0.021, -0.022), change(0.01, -0.02, 0.015)
SMALL = change(0.001, -0.001, 0.0005)
BASE = Evidence(CAMRI, GAIN, KEPT, GAIN, None, MOVED, WIDE, KEPT, ["camri"], 4)


@pytest.mark.parametrize(
    ("evidence", "shown", "recommended", "words"),
    [
        (
            BASE, True, "camri",
            ["use camri (margin=0.2). On these test images recall +10.2 pp (95 % CI 8.2 to 12.3) vs. ce, 4 seeds; "
             "accuracy +0.0 pp (-0.1 to 0.1), shown not to be lower by 0.5 pp. Compared with the best threshold of "
             "equal accuracy: recall +10.2 pp"],
        ),
        (replace(BASE, accuracy=LOWER), True, "ce", ["use ce. camri (margin=0.2)", "lower by more than 0.5 pp"]),
        (replace(BASE, accuracy=VAGUE), True, "camri", ["accuracy +0.2 pp", "not known to within 0.5 pp"]),
        (
            replace(BASE, accuracy=LOWER, threshold_gain=GAIN), True, "threshold",
            ["use ce + threshold: recall +10.2 pp"],
        ),
        (replace(BASE, lead=WIDE), True, None, ["camri (margin=0.2) finds more than ce, but it is not known whether",
                                                 "neither better nor as good to within 2 pp", "new seeds"]),
        (replace(BASE, lead=LOSS), True, None, ["finds more than ce, but with the right threshold the baseline finds"]),
        (replace(BASE, lead=SMALL), True, None, ["as good to within 2 pp"]),
        (replace(BASE, lead=LOSS, threshold_gain=GAIN), True, "threshold", ["recall -10.3 pp"]),
        (
            replace(BASE, lead=WIDE, threshold_gain=GAIN), True, "threshold",
            ["use ce + threshold: recall +10.2 pp (95 % CI 8.2 to 12.3) vs. ce, accuracy", "neither better nor"],
        ),
        (replace(BASE, threshold=None, lead=UNKNOWN), True, "camri", ["the baseline has no predictions.npz"]),
        (replace(BASE, gain=WIDE), False, None, ["not enough evidence. camri", "new seeds would be needed to show a"]),
        (
            replace(BASE, gain=WIDE, threshold_gain=GAIN), False, "threshold",
            ["use ce + threshold", "which is not shown"],
        ),
        (replace(BASE, gain=WIDE, threshold_gain=GAIN, threshold_accuracy=VAGUE), False, None, ["not enough evidence"]),
        (replace(BASE, gain=LOSS), True, "ce", ["use ce. camri (margin=0.2): On these test images recall -10.3 pp"]),
        (replace(BASE, gain=change(0.1, 0.1)), False, None, ["+10.0 pp in recall with each of 2 seeds, too few"]),
        (replace(BASE, gain=UNKNOWN, common=1), False, None, ["camri (margin=0.2) and ce have 1 common seed"]),
        (replace(BASE, best=None), False, "ce", ["use ce. No configuration of camri keeps", "tolerance=0.005"]),
        (
            replace(BASE, best=None, threshold_gain=GAIN), False, "threshold",
            ["use ce + threshold: recall +10.2 pp", "No configuration of camri"],
        ),
        (replace(BASE, best=None, tried=[]), False, None, ["there are only runs of ce"]),
    ],
)  # fmt: skip
def test_conclusion_fits_the_numbers(
    evidence: Evidence, shown: bool, recommended: str | None, words: list[str]
) -> None:
    assert recommendation(evidence, "ce", shown, Protocol()) == recommended
    text = sentence(evidence, "ce", recommended, shown, Protocol())
    for part in words:
        assert part in text
    assert text.replace("vs. ", "").count(". ") < 3, "at most three sentences"


def runs(
    loss: str, recalls: Sequence[float], accuracy: Sequence[float], important: tuple[int, ...] = (0,)
) -> list[Run]:
    made = [
        stored_run(loss, seed, 0, (recall, 0.9), (recall, level))
        for seed, (recall, level) in enumerate(zip(recalls, accuracy, strict=True))
    ]
    return [replace(run, important=important) for run in made]


def concluded(*groups: list[Run]) -> list[TaskConclusion]:
    return conclude(compare_methods([run for group in groups for run in group], Protocol()), Protocol())


CE = runs("ce", [0.60, 0.61, 0.59, 0.60], [0.9, 0.9, 0.9, 0.9])


def test_test_accuracy_is_judged() -> None:
    """Kept on validation, five points lower on test: such a loss was recommended."""
    (result,) = concluded(CE, runs("camri", [0.70, 0.72, 0.69, 0.71], [0.85, 0.851, 0.849, 0.85]))

    assert result.gain.shown
    assert result.recommended == "ce"
    assert result.accuracy.mean == pytest.approx(-0.05)
    assert result.accuracy.non_inferior is False
    assert "lower by more than 0.5 pp" in result.sentence


def test_two_seeds_that_gain_the_same_show_nothing() -> None:
    (result,) = concluded(runs("ce", [0.8, 0.9], [0.9, 0.91]), runs("camri", [0.9, 1.0], [0.9, 0.91]))

    assert result.gain.mean == pytest.approx(0.1)
    assert not result.gain.shown
    assert math.isnan(result.gain.low)
    assert result.recommended is None


def test_several_tasks_are_corrected_by_holm() -> None:
    """A p-value of .03 is shown in a report on one class, and not in one on two."""
    ce, camri = [0.60, 0.61, 0.59], [0.66, 0.70, 0.64]
    one = concluded(runs("ce", ce, [0.9] * 3), runs("camri", camri, [0.9] * 3))
    two = concluded(
        *(runs("ce", ce, [0.9] * 3, (k,)) + runs("camri", camri, [0.9] * 3, (k,)) for k in (0, 1)),
    )
    assert 0.025 < difference(dict(enumerate(np.subtract(camri, ce)))).p_value < 0.05
    assert one[0].gain.shown
    assert [task.gain.shown for task in two] == [False, False]
    assert "with Holm's rule for all tasks of this report nothing is shown" in two[0].sentence


def test_a_loss_that_only_moves_the_threshold_is_not_recommended() -> None:
    """It finds more than cross-entropy at the same accuracy, as every threshold on the same scores does."""
    rng, recommended = np.random.default_rng(0), []
    for _ in range(8):
        sweep = sweep_of_moved_thresholds(rng, 5, 0.8, Scores(validation=800, test=1000))
        (result,) = conclude(compare_methods(sweep, Protocol(tolerance=0.02)), Protocol(tolerance=0.02))
        assert result.gain.mean > 0
        recommended.append(result.recommended)
    assert "camri" not in recommended


def test_order_of_important_classes_is_no_other_task(tmp_path: Path) -> None:
    from camri_exp.reporting.collect import collect
    from tests.helpers.generated_runs import write_run

    for seed in range(2):
        write_run(tmp_path / f"ce{seed}", "ce", seed, important=(0, 2))
        write_run(tmp_path / f"camri{seed}", "camri", seed, important=(2, 0))
    (comparison,) = compare_methods(collect([tmp_path]).runs, Protocol())

    assert comparison.task.important == (0, 2)
    assert comparison.methods[0].seeds == (0, 1)


def test_record_is_the_documented_one_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "conclusions.json"
    first = concluded(CE, runs("camri", [0.70, 0.72, 0.69, 0.71], [0.9, 0.902, 0.901, 0.9]))
    second = concluded(CE)
    Conclusions(tasks=[*first, *second]).write(path)
    content = json.loads(path.read_text())
    known, unknown = content["tasks"]

    assert content["schema"] == 1
    assert known["important_class"] == [0]
    assert known["important_class_names"] == ["important"]
    assert known["recommended"] == "camri"
    assert set(known["gain"]) == {"mean", "low", "high", "shown", "seeds", "new_images"}
    assert set(known["accuracy"]) == {"mean", "low", "high", "non_inferior", "margin"}
    assert set(known["against_threshold"]) == {"mean", "low", "high", "shown", "equivalent"}
    assert known["gain"]["mean"] == pytest.approx(0.105)
    assert (known["gain"]["shown"], known["gain"]["seeds"]) == (True, 4)
    assert (unknown["gain"]["mean"], unknown["gain"]["shown"], unknown["gain"]["seeds"]) == (None, False, 0)
    assert unknown["accuracy"]["non_inferior"] is None
    read = Conclusions.read(path).tasks
    assert read[0].gain == first[0].gain
    assert math.isnan(read[1].gain.mean)


def test_conclusions_of_earlier_reports_are_read(tmp_path: Path) -> None:
    path = tmp_path / "conclusions.json"
    Conclusions(tasks=concluded(CE)).write(path)
    content = json.loads(path.read_text())
    content["tasks"][0]["gain"].pop("new_images", None)
    content["tasks"][0]["against_threshold"].pop("equivalent", None)
    path.write_text(json.dumps(content))
    assert Conclusions.read(path).tasks[0].gain.new_images is None
