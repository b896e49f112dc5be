"""The charts of a task hold the numbers of its runs, and both renderers draw all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from camri_exp.figures import style
from camri_exp.figures.chart import Chart, HeatMapChart, draw
from camri_exp.reporting.charts import charts
from camri_exp.reporting.collect import collect
from camri_exp.reporting.plotly_charts import plotly_figure
from camri_exp.reporting.selection import Protocol, compare_methods
from tests.helpers.generated_runs import CLASSES, write_run, write_sweep


def charts_of(folder: Path, names: dict[str, str]) -> dict[str, Any]:
    (comparison,) = compare_methods(collect([folder]).runs, Protocol())
    return charts(comparison, Protocol(), names)


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Any]:
    """Charts of the class whose name is HTML; one cell of the grid of margins and scales is missing."""
    write_sweep(tmp_path, important=(1,))
    write_run(tmp_path / "more", "camri", 0, important=(1,), parameters={"margin": 0.4, "scale": 8}, angles=True)
    return charts_of(tmp_path, {"camri": "CAMRI $x$"})


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_recall_against_accuracy_has_every_point_in_both_renderings(made: dict[str, Any]) -> None:
    chart: Chart = made["recall_accuracy"]
    figure, interactive = draw(chart), plotly_figure(chart)
    axes = figure.axes[0]
    points = [container.lines[0].get_xydata() for container in axes.containers]

    assert len(points) == len(chart.series) == len(interactive["data"])
    for drawn, trace, series in zip(points, interactive["data"], chart.series, strict=True):
        np.testing.assert_allclose(drawn, np.column_stack([series.x, series.y]))
        np.testing.assert_allclose(drawn, np.column_stack([trace["x"], trace["y"]]))
    assert axes.get_ylabel() == f"recall of {CLASSES[1]}"
    assert legend(figure) == ["accuracy of ce", r"CAMRI \$x\$", "ce", "ce + threshold"]
    style.png(figure)


def test_single_runs_are_those_of_the_sweep(made: dict[str, Any], tmp_path: Path) -> None:
    runs = [run for run in collect([tmp_path]).runs if run.loss == "camri"]
    series = next(s for s in made["recall_accuracy"].series if s.name == "CAMRI $x$" and not s.in_legend)
    assert sorted(zip(series.x, series.y, strict=True)) == sorted(
        (run.accuracy("test"), run.recall("test", [1])) for run in runs
    )
    assert all(str(run.folder) in "\n".join(series.hover) for run in runs)


def test_heat_maps_leave_empty_cells_empty(made: dict[str, Any]) -> None:
    chart: HeatMapChart = made["margin_scale_camri"]
    figure, interactive = draw(chart), plotly_figure(chart)

    assert [axes.get_title() for axes in figure.axes] == ["recall", "accuracy"]
    for axes, trace, heat_map in zip(figure.axes, interactive["data"], chart.maps, strict=True):
        assert [text.get_text() for text in axes.texts] == [f"{v:.3f}" for row in heat_map.values for v in row if v]
        assert len(axes.texts) == 5
        assert trace["z"] == heat_map.values
        assert [label.get_text() for label in axes.get_xticklabels()] == trace["x"] == ["0.1", "0.2", "0.4"]
    style.png(figure)


def test_angle_variance_has_a_line_per_scale_and_side(made: dict[str, Any], tmp_path: Path) -> None:
    chart: Chart = made["angle_variance"]
    figure = draw(chart)

    per_run = []
    for seed in range(3):
        with np.load(tmp_path / f"camri+0.1+8+{seed}+1" / "predictions.npz") as arrays:
            angle, target = arrays["test_angle"].astype(float), arrays["test_target"]
        per_run.append(np.mean([angle[target == k].var() for k in (0, 2)]))
    assert chart.series[1].y[0] == pytest.approx(np.mean(per_run), rel=1e-6)
    assert [line.get_linestyle() for line in figure.axes[0].lines] == ["-", ":"] * 2
    assert legend(figure) == [
        rf"CAMRI \$x\$, scale {scale}: {side}" for scale in (8, 16) for side in ("important", "others")
    ]
    assert [line.get_fillstyle() for line in figure.axes[0].lines] == ["full", "none"] * 2
    style.png(figure)


def test_angles_without_a_margin_are_at_zero(tmp_path: Path) -> None:
    """Except those of a loss whose margins have another name, such as LDAM."""
    write_sweep(tmp_path)
    write_run(tmp_path / "none", "l2_softmax", 0, parameters={"scale": 16}, angles=True)
    write_run(tmp_path / "other", "ldam", 0, parameters={"max_margin": 0.5, "scale": 16}, angles=True)
    series = charts_of(tmp_path, {})["angle_variance"].series

    assert [list(s.x) for s in series if s.name.startswith("l2_softmax")] == [[0], [0]]
    assert not [s for s in series if s.name.startswith("ldam")]


def test_more_scales_than_markers_are_drawn(tmp_path: Path) -> None:
    write_run(tmp_path / "ce", "ce", 0, class_free=True)
    for scale in range(12):
        write_run(tmp_path / f"{scale}", "camri", 0, parameters={"margin": 0.1, "scale": scale}, angles=True)
    assert len(draw(charts_of(tmp_path, {})["angle_variance"]).axes[0].lines) == 24
