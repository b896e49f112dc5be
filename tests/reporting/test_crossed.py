"""Intervals for new images and new seeds."""

import numpy as np
import pytest
from simulation.sweeps import StoredRun, stored_run

from camri_exp.reporting.crossed import crossed_interval, recall_for_new_images
from camri_exp.reporting.runs import ImportantHits
from camri_exp.reporting.statistics import difference


def table(rng: np.random.Generator, units: int, seeds: int, unit_sd: float, seed_sd: float, sd: float) -> np.ndarray:
    rows, columns = rng.normal(0, unit_sd, (units, 1)), rng.normal(0, seed_sd, seeds)
    return rows + columns + rng.normal(0, sd, (units, seeds))


@pytest.mark.parametrize(("units", "seeds", "unit_sd"), [(40, 5, 1.0), (3, 5, 0.5), (200, 3, 0.1)])
def test_intervals_cover_the_true_mean(units: int, seeds: int, unit_sd: float) -> None:
    rng = np.random.default_rng(0)
    made = [crossed_interval(table(rng, units, seeds, unit_sd, 0.3, 1.0)) for _ in range(800)]
    assert np.mean([interval.low <= 0 <= interval.high for interval in made]) > 0.93


def test_seeds_alone_do_not_cover_new_images() -> None:
    """The fault: Student's interval over seeds, read as a statement about new images."""
    rng = np.random.default_rng(1)
    made = [difference(dict(enumerate(table(rng, 3, 5, 1.0, 0.1, 0.1).mean(0)))) for _ in range(300)]
    assert np.mean([change.low <= 0 <= change.high for change in made]) < 0.5


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_one_unit_or_one_seed_has_no_interval(shape: tuple[int, int]) -> None:
    assert np.isnan(crossed_interval(np.random.default_rng(0).normal(size=shape)).low)


def test_equal_differences_have_no_interval() -> None:
    assert np.isnan(crossed_interval(np.ones((6, 4))).low)


def run(hit: list[int], **fields: object) -> StoredRun:
    target = np.array(fields.pop("target", [0] * len(hit)))
    hits = ImportantHits(np.array(hit, bool), target, np.arange(len(hit)), **fields)  # type: ignore[arg-type]
    return stored_run("ce", 0, 0, (0.5, 0.5), (0.5, 0.5), hits)


def test_groups_count_as_one_and_their_number_is_estimated_otherwise() -> None:
    groups = np.array(["a", "a", "b", "b"])
    mine, other = [run([1, 1, 1, 0], groups=groups), run([1, 0, 1, 1], groups=groups)], [run([0, 0, 1, 0])] * 2
    known = recall_for_new_images(mine, other, [0])
    assert known is not None
    assert (known.units, known.grouped) == (2, True)
    expected = crossed_interval(np.array([[1.0, 0.5], [0.0, 0.5]]))
    assert known.interval == pytest.approx(expected) or vars(known.interval) == pytest.approx(vars(expected))
    unknown = recall_for_new_images([run([1, 1, 1, 0], group_size=2.0)] * 2, other, [0])
    assert unknown is not None
    assert (unknown.units, unknown.grouped, unknown.perhaps) == (4, False, 2)


def test_mean_over_images_is_the_mean_recall_of_several_classes() -> None:
    target = [0, 0, 0, 1]
    mine, other = [run([1, 0, 0, 1], target=target)] * 2, [run([0, 0, 0, 0], target=target)] * 2
    known = recall_for_new_images(mine, other, [0, 1])
    assert known is not None
    assert known.interval.value == pytest.approx((1 / 3 + 1) / 2)


def test_other_images_are_not_paired() -> None:
    assert recall_for_new_images([run([1, 1, 1])] * 2, [run([1, 1])] * 2, [0]) is None
    without = stored_run("ce", 0, 0, (0.5, 0.5), (0.5, 0.5))
    assert recall_for_new_images([without] * 2, [without] * 2, [0]) is None
