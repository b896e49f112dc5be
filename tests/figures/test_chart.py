"""Charts drawn with matplotlib: every series in its style, error bars of both lengths, and names as plain text."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from camri_exp.figures import style
from camri_exp.figures.chart import DASHES, MARKERS, Axis, Chart, ReferenceLine, Series, draw, escape

X, Y = Axis("accuracy $a$", (0, 1)), Axis("recall")


def test_series_have_their_style_and_error_bars() -> None:
    points = Series(
        "points", [0.2, 0.4], [1, 2], "#aa3377", marker="diamond", edge="white", x_error=[(0.1, 0.2), (0, 0)]
    )
    line = Series("line", [0, 1], [0, 1], "#228833", line="dash", in_legend=False)
    figure = draw(Chart("a title", X, Y, [points, line], "{y}", ReferenceLine(0.3, "here")))
    axes = figure.axes[0]
    first, second = (container.lines[0] for container in axes.containers)

    assert (first.get_marker(), first.get_linestyle(), to_hex(first.get_color())) == ("D", "None", "#aa3377")
    assert (second.get_marker(), second.get_linestyle()) == ("none", "--")
    (bars,) = axes.containers[0].lines[2]
    np.testing.assert_allclose(bars.get_segments()[0], [[0.1, 1], [0.4, 1]])
    assert axes.get_xlim() == (0, 1)
    assert axes.get_xlabel() == r"accuracy \$a\$"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["here", "points"]
    assert {to_hex(cap.get_markeredgecolor()) for cap in axes.containers[0].lines[1]} == {"#aa3377"}


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("line", DASHES)
def test_every_marker_and_dash_is_drawn(marker: str, line: str) -> None:
    series = Series("a", [0, 1], [0, 1], "#000000", marker=marker, line=line, is_open=True)
    figure = draw(Chart("", Axis("x"), Axis("y"), [series], "{y}"))
    figure.draw(FigureCanvasAgg(figure).get_renderer())


def test_long_legends_stay_inside_the_figure() -> None:
    series = [Series(f"a configuration with a name that is too long {k}", [k], [k], "#000000", marker="x")
              for k in range(6)]  # fmt: skip
    figure = draw(Chart("", Axis("x"), Axis("y"), series, "{y}"))
    figure.draw(FigureCanvasAgg(figure).get_renderer())
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_dollars_stay_dollars() -> None:
    """Also in a name that ``style.short`` has escaped before."""
    assert escape("$x$") == escape(style.short("$x$")) == r"\$x\$"
