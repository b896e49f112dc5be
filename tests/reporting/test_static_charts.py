"""The PNGs show what the interactive charts hold."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from camri_exp.figures import style
from camri_exp.reporting.charts import Figure as Chart
from camri_exp.reporting.charts import charts
from camri_exp.reporting.collect import collect
from camri_exp.reporting.selection import Protocol, compare_methods
from camri_exp.reporting.static_charts import still
from tests.helpers.generated_runs import CLASSES, write_run, write_sweep


@pytest.fixture
def drawn(tmp_path: Path) -> dict[str, Chart]:
    """Of the class whose name is a trap; one cell of the grid of margins and scales is missing."""
    write_sweep(tmp_path, important=(1,))
    write_run(tmp_path / "more", "camri", 0, important=(1,), parameters={"margin": 0.4, "scale": 8}, angles=True)
    return charts(compare_methods(collect([tmp_path]).runs, Protocol())[0], Protocol(), {"camri": "CAMRI $x$"})


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_every_point_is_there_and_names_stay_letters(drawn: dict[str, Chart]) -> None:
    figure = still(drawn["recall_accuracy"])
    axes = figure.axes[0]
    shown = [container.lines[0].get_xydata() for container in axes.containers]

    assert len(shown) == len(drawn["recall_accuracy"]["data"])
    for points, trace in zip(shown, drawn["recall_accuracy"]["data"], strict=True):
        np.testing.assert_allclose(points, np.column_stack([trace["x"], trace["y"]]))
    assert axes.get_ylabel() == f"recall of {CLASSES[1]}"
    assert legend(figure)[0] == "accuracy of ce"
    assert legend(figure)[1:] == [r"CAMRI \$x\$", "ce", "ce + threshold"]
    style.png(figure)


def test_heat_maps_leave_empty_cells_empty(drawn: dict[str, Chart]) -> None:
    chart = drawn["margin_scale_camri"]
    figure = still(chart)

    assert [axes.get_title() for axes in figure.axes] == ["recall", "accuracy"]
    for axes, trace in zip(figure.axes, chart["data"], strict=True):
        assert [text.get_text() for text in axes.texts] == [f"{v:.3f}" for row in trace["z"] for v in row if v]
        assert len(axes.texts) == 5
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.1", "0.2", "0.4"]
    style.png(figure)


def test_angle_variance_has_a_line_a_scale_and_group(drawn: dict[str, Chart], tmp_path: Path) -> None:
    figure = still(drawn["angle_variance"])

    per_run = []
    for seed in range(3):
        with np.load(tmp_path / f"camri+0.1+8+{seed}+1" / "predictions.npz") as arrays:
            angle, target = arrays["test_angle"].astype(float), arrays["test_target"]
        per_run.append(np.mean([angle[target == k].var() for k in (0, 2)]))
    assert drawn["angle_variance"]["data"][1]["y"][0] == pytest.approx(np.mean(per_run), rel=1e-6)
    assert [line.get_linestyle() for line in figure.axes[0].lines] == ["-", ":"] * 2
    assert legend(figure) == [rf"CAMRI \$x\$, scale {s}: {of}" for s in (8, 16) for of in ("important", "others")]
    assert [line.get_fillstyle() for line in figure.axes[0].lines] == ["full", "none"] * 2
    style.png(figure)


def test_angles_without_a_margin_are_where_the_lines_begin(tmp_path: Path) -> None:
    """Not those of a loss whose margins have another name, as LDAM's."""
    write_sweep(tmp_path)
    write_run(tmp_path / "none", "l2_softmax", 0, parameters={"scale": 16}, angles=True)
    write_run(tmp_path / "other", "ldam", 0, parameters={"max_margin": 0.5, "scale": 16}, angles=True)
    traces = charts(compare_methods(collect([tmp_path]).runs, Protocol())[0], Protocol(), {})["angle_variance"]["data"]

    assert [trace["x"] for trace in traces if trace["name"].startswith("l2_softmax")] == [[0], [0]]
    assert not [trace for trace in traces if trace["name"].startswith("ldam")]
