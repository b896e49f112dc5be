"""Counts of images and groups, and what they can tell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from camri_exp.data.counts import Count, count_of, counts_table
from camri_exp.data.folder import FolderDataModule
from camri_exp.metrics.intervals import wilson
from tests.conftest import Command
from tests.helpers.image_files import split_folders


def test_the_table_has_every_class_and_split(tmp_path: Path) -> None:
    data = FolderDataModule(str(split_folders(tmp_path)), image_size=8)
    data.setup()
    assert counts_table(data.splits, data.class_names).splitlines() == [
        "class  train  val  test",
        "cat        6    3     3",
        "dog        6    3     3",
        "all       12    6     6",
    ]
    grouped = replace(data.splits["test"], groups=["a", "a", "b", "c", "c", "c"])
    assert count_of(grouped, 0) == Count(3, 2)
    assert counts_table({"test": grouped}, ["cat", "dog"]).splitlines()[1:] == [
        "cat    3 (2)",
        "dog    3 (1)",
        "all    6 (3)",
    ]


@pytest.mark.parametrize("count", [100, 1000, 100_000])
def test_the_margin_is_that_of_wilsons_interval_for_many_images(count: int) -> None:
    interval = wilson(count // 2, count)
    assert Count(count).margin == pytest.approx((interval.high - interval.low) / 2, rel=0.02)


def test_groups_count_as_one_image_each() -> None:
    assert Count(300, 10).margin == Count(10).margin == pytest.approx(0.31, abs=0.001)
    assert np.isnan(Count(0).margin)


def test_show_prints_the_table(tmp_path: Path, command: Command) -> None:
    root = split_folders(tmp_path / "data")
    shown = command("data.show", "data=folder", f"data.root={root}", "data.image_size=8", "images=1", "variants=1")
    assert "cat        6    3     3\n" in shown.out, shown.err
