"""Charts as plotly figures: names stay text, and every value can be written as JSON."""

import json
import math

from camri_exp.figures.chart import Axis, Chart, HeatMap, HeatMapChart, ReferenceLine, Series
from camri_exp.reporting.plotly_charts import plotly_figure

HTML = "<img src=x> & co"
ESCAPED = "&lt;img src=x&gt; &amp; co"


def test_every_text_is_escaped() -> None:
    series = Series(HTML, [0.1], [0.2], "#000000", marker="circle", group=HTML, hover=[f"{HTML}\n{HTML}"])
    chart = Chart(HTML, Axis(HTML), Axis(HTML), [series], "recall {y:.4f}", ReferenceLine(0.5, HTML))
    maps = HeatMapChart(HTML, Axis("margin"), Axis("scale"), ["1"], ["2"], [HeatMap(HTML, [[0.5]])])

    for figure in (plotly_figure(chart), plotly_figure(maps)):
        assert "<img" not in json.dumps(figure)
        assert figure["layout"]["title"]["text"] == ESCAPED
        assert figure["layout"]["annotations"][0]["text"] == ESCAPED
    (trace,) = plotly_figure(chart)["data"]
    assert trace["text"] == f"<b>{ESCAPED}</b><br>{ESCAPED}"
    assert trace["hovertemplate"] == "%{text}<br>recall %{y:.4f}<extra></extra>"


def test_nan_becomes_null() -> None:
    chart = Chart("", Axis("x"), Axis("y"), [Series("a", [0.0, 1.0], [math.nan, 2.0], "#000000", line="dot")], "{y}")
    assert json.loads(json.dumps(plotly_figure(chart), allow_nan=False))["data"][0]["y"] == [None, 2.0]


def test_error_bars_may_differ_below_and_above() -> None:
    series = Series("a", [1.0], [1.0], "#000000", marker="x", x_error=[(0.1, 0.1)], y_error=[(0.1, 0.3)])
    (trace,) = plotly_figure(Chart("", Axis("x"), Axis("y"), [series], "{y}"))["data"]
    assert "arrayminus" not in trace["error_x"]
    assert (list(trace["error_y"]["arrayminus"]), list(trace["error_y"]["array"])) == ([0.1], [0.3])
    assert trace["error_y"]["symmetric"] is False
