"""Each seed is judged by the choice of the others."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from simulation.sweeps import stored_run

from camri_exp.reporting.cross_fitting import chosen_by_others, cross_fit
from camri_exp.reporting.runs import Run
from camri_exp.reporting.selection import Protocol, TaskComparison, compare_methods

Numbers = Mapping[int, tuple[float, float, float]]  # by seed: validation recall, validation accuracy, test recall


def runs(loss: str, setting: int, numbers: Numbers) -> list[Run]:
    return [
        stored_run(loss, seed, setting, (recall, accuracy), (test, accuracy))
        for seed, (recall, accuracy, test) in numbers.items()
    ]


def compared(*groups: Sequence[Run]) -> TaskComparison:
    return compare_methods([run for group in groups for run in group], Protocol())[0]


def test_choice_is_that_of_a_loop_over_seeds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        count, seeds = rng.integers(2, 7), rng.integers(2, 6)
        recall = rng.integers(0, 5, (count, seeds)) / 4
        accuracy = rng.integers(0, 5, (count, seeds)) / 4
        for s, mine in enumerate(chosen_by_others(recall, accuracy, 0.1)):
            others = [t for t in range(seeds) if t != s]
            means = [(recall[c, others].mean(), accuracy[c, others].mean()) for c in range(count)]
            allowed = [c for c in range(1, count) if means[c][1] >= means[0][1] - 0.1 - 1e-9]
            best = max(allowed, key=lambda c: (round(means[c][0], 9), round(means[c][1], 9)), default=0)
            assert (round(means[mine][0], 9), round(means[mine][1], 9)) == pytest.approx(means[best])


def test_a_run_that_is_lucky_on_validation_and_test_does_not_judge_itself() -> None:
    """Each of three settings is lucky with one seed: the setting of the lucky seed is never chosen for that seed."""
    base = runs("ce", 0, dict.fromkeys(range(3), (0.5, 0.9, 0.5)))
    lucky = [
        runs("camri", k, {s: (0.5 + 0.3 * (s == k), 0.9, 0.5 + 0.3 * (s == k)) for s in range(3)}) for k in range(3)
    ]
    comparison = compared(base, *lucky)

    assert max(comparison.methods[0].recall.values()) == pytest.approx(0.8)
    assert cross_fit(comparison, Protocol()).recall == pytest.approx({0: 0.0, 1: 0.0, 2: 0.0})


def test_nothing_that_keeps_the_accuracy_is_a_gain_of_zero() -> None:
    fit = cross_fit(
        compared(
            runs("ce", 0, dict.fromkeys(range(3), (0.5, 0.9, 0.5))),
            runs("camri", 1, {0: (0.9, 0.8, 0.9), 1: (0.9, 0.8, 0.9), 2: (0.9, 1.05, 0.9)}),
        ),
        Protocol(),
    )
    assert fit.recall == pytest.approx({0: 0.4, 1: 0.4, 2: 0.0})


def test_a_configuration_with_one_lucky_run_is_not_selected() -> None:
    """One run on an easy split qualified, won, and hid the well-tested configuration."""
    tested = dict.fromkeys(range(4), (0.7, 0.9, 0.7))
    comparison = compared(
        runs("ce", 0, dict.fromkeys(range(4), (0.5, 0.9, 0.5))),
        runs("camri", 1, tested),
        runs("camri", 2, {0: (1.0, 1.0, 1.0)}),
    )
    assert comparison.methods[0].label == "setting=1"
    assert "too few seeds in common" in " ".join(comparison.notes)
    assert set(cross_fit(comparison, Protocol()).chosen) == {0, 1, 2, 3}


def test_common_seeds_are_compared() -> None:
    """With seeds 2 and 3, which are hard, setting 2 is the better one on the seeds that both have."""
    hard = {0: 0.3, 1: 0.3, 2: 0.0, 3: 0.0}
    comparison = compared(
        runs("ce", 0, {s: (0.4 + h, 0.9, 0.4 + h) for s, h in hard.items()}),
        runs("camri", 1, {s: (0.5 + hard[s], 0.9, 0.5 + hard[s]) for s in (0, 1)}),
        runs("camri", 2, {s: (0.6 + hard[s], 0.9, 0.6 + hard[s]) for s in hard}),
    )
    assert comparison.methods[0].label == "setting=2"
    assert set(cross_fit(comparison, Protocol()).chosen) == {0, 1}


def test_of_equal_recalls_the_more_accurate_loss_is_chosen() -> None:
    """Not the first one of the alphabet."""
    comparison = compared(
        runs("ce", 0, dict.fromkeys(range(3), (0.5, 0.9, 0.5))),
        runs("arcface", 1, dict.fromkeys(range(3), (0.7, 0.91, 0.7))),
        runs("wce", 2, dict.fromkeys(range(3), (0.7, 0.95, 0.7))),
    )
    assert {chosen.loss for chosen in cross_fit(comparison, Protocol()).chosen.values()} == {"wce"}


def test_one_seed_gives_no_evidence() -> None:
    comparison = compared(runs("ce", 0, {0: (0.5, 0.9, 0.5)}), runs("camri", 1, {0: (0.7, 0.9, 0.7)}))
    assert comparison.methods[0].seeds == (0,)
    assert cross_fit(comparison, Protocol()).recall == {}
