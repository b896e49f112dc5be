"""The charts of a report: what is shown for one task, independent of how it is drawn."""

from collections.abc import Mapping, Sequence

import numpy as np

from camri_exp.data.splits import NOUNS
from camri_exp.figures.chart import MARKERS, Axis, Chart, HeatMap, HeatMapChart, ReferenceLine, Series
from camri_exp.figures.tradeoff import error_bars, padded, tradeoff_chart
from camri_exp.metrics.angles import by_side
from camri_exp.metrics.intervals import Interval
from camri_exp.reporting.grouping import Configuration, mean
from camri_exp.reporting.promises import TaskPrices, price_chart
from camri_exp.reporting.selection import MethodResult, Protocol, TaskComparison
from camri_exp.reporting.statistics import difference
from camri_exp.reporting.tables import display
from camri_exp.reporting.threshold_baseline import mean_curve

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44bb99", "#999933", "#bbbbbb")
Names = Mapping[str, str]
ByLoss = Mapping[str, Sequence[Configuration]]


def charts(
    comparison: TaskComparison, protocol: Protocol, names: Names, prices: TaskPrices | None = None
) -> dict[str, Chart | HeatMapChart]:
    """All charts of a task by name; those for which its runs have no numbers are left out.

    ``names`` are the display names of losses; a loss has the same colour in every chart and task.
    """
    by_loss: dict[str, list[Configuration]] = {}
    for configuration in comparison.configurations:
        by_loss.setdefault(configuration.loss, []).append(configuration)
    colours = colours_of(comparison, names)
    made = {
        "recall_accuracy": recall_against_accuracy(comparison, by_loss, colours, names),
        **{f"margin_scale_{loss}": margin_and_scale(display(loss, names), group, protocol.split)
           for loss, group in by_loss.items()},
        "angle_variance": angle_variance(by_loss, colours, names),
        "promise": None if prices is None else price_chart(prices, comparison.task.classes, colours, names),
    }  # fmt: skip
    return {name: chart for name, chart in made.items() if chart is not None}


def colours_of(comparison: TaskComparison, names: Names) -> dict[str, str]:
    """The colour of each loss, in the order of ``names``."""
    losses = {configuration.loss for configuration in comparison.configurations}
    order = [*names, *sorted(losses - names.keys())]
    return {loss: COLOURS[index % len(COLOURS)] for index, loss in enumerate(order)}


def recall_against_accuracy(
    comparison: TaskComparison, by_loss: ByLoss, colours: Mapping[str, str], names: Names
) -> Chart:
    """Every run, every configuration's mean with its 95 % CI, threshold curves, and the baseline's accuracy."""
    series = []
    for loss, configurations in by_loss.items():
        series += [_runs(configurations, colours[loss], names), _means(configurations, colours[loss], names)]
    for result in comparison.rows:
        if (curve := _threshold_curve(result, colours, names)) is not None:
            series.append(curve)
    if comparison.threshold is not None:
        series.append(_moved_threshold(comparison.threshold, colours[comparison.baseline.method], names))
    baseline = comparison.baseline
    reference = ReferenceLine(difference(baseline.accuracy).mean, f"accuracy of {display(baseline.method, names)}")
    return tradeoff_chart(series, comparison.task.classes, "test", reference, _limits(comparison))


def _limits(comparison: TaskComparison) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of accuracy and recall around all single runs."""
    tested = [(c.accuracy("test"), c.recall("test")) for c in comparison.configurations]
    if comparison.threshold is not None:
        tested.append((dict(comparison.threshold.accuracy), dict(comparison.threshold.recall)))
    accuracy, recall = ([value for pair in tested for value in pair[axis].values()] for axis in (0, 1))
    return padded(accuracy, share=0.08, least=0.005), padded(recall, share=0.08, least=0.005)


def _runs(configurations: Sequence[Configuration], colour: str, names: Names) -> Series:
    loss = configurations[0].loss
    runs = [(configuration, run) for configuration in configurations for run in configuration.runs.values()]
    return Series(
        display(loss, names),
        [run.accuracy("test") for _, run in runs],
        [run.recall("test", configuration.important) for configuration, run in runs],
        colour, marker="circle", size=6, opacity=0.3, in_legend=False, group=loss,
        hover=[f"{loss} {configuration.label}, seed {run.seed}\n{run.folder}" for configuration, run in runs],
    )  # fmt: skip


def _means(configurations: Sequence[Configuration], colour: str, names: Names) -> Series:
    loss = configurations[0].loss
    accuracy = [_interval(configuration.accuracy("test")) for configuration in configurations]
    recall = [_interval(configuration.recall("test")) for configuration in configurations]
    return Series(
        display(loss, names),
        [interval.value for interval in accuracy],
        [interval.value for interval in recall],
        colour, marker="diamond", size=10, edge="white", group=loss,
        x_error=error_bars(accuracy), y_error=error_bars(recall),
        hover=[f"{loss} {c.label}\nmean of n={len(c.runs)}" for c in configurations],
    )  # fmt: skip


def _interval(by_seed: Mapping[int, float]) -> Interval:
    sample = difference(by_seed)
    return Interval(sample.mean, sample.low, sample.high)


def _threshold_curve(result: MethodResult, colours: Mapping[str, str], names: Names) -> Series | None:
    """The threshold curve of a method's selected configuration; None without one or without predictions."""
    selected = result.configuration
    curve = None if selected is None else mean_curve(list(selected.runs.values()), selected.important)
    if curve is None:
        return None
    return Series(
        display(result.method, names), curve.accuracy, curve.recall, colours[result.method], line="solid",
        in_legend=False,
        group=result.method, hover=[f"{result.method} {result.label}\nthreshold curve"],
    )  # fmt: skip


def _moved_threshold(threshold: MethodResult, colour: str, names: Names) -> Series:
    accuracy, recall = _interval(threshold.accuracy), _interval(threshold.recall)
    return Series(
        display(threshold.method, names), [accuracy.value], [recall.value], colour, marker="x", size=12,
        x_error=error_bars([accuracy]), y_error=error_bars([recall]),
        hover=[f"{threshold.method}\n{threshold.label} on validation, mean of n={len(threshold.seeds)}"],
    )  # fmt: skip


def margin_and_scale(loss: str, configurations: Sequence[Configuration], split: str) -> HeatMapChart | None:
    """Mean recall and mean accuracy over margin (columns) and scale (rows); None where there is no such grid."""
    grid = {
        (c.parameters["margin"], c.parameters["scale"]): c
        for c in configurations
        if all(isinstance(c.parameters.get(key), int | float) for key in ("margin", "scale"))
    }
    margins, scales = (sorted({pair[axis] for pair in grid}) for axis in (0, 1))
    if len(grid) < 2 or len(grid) < len(configurations) or max(len(margins), len(scales)) < 2:
        return None
    cells = [[grid.get((margin, scale)) for margin in margins] for scale in scales]
    recall = [[None if c is None else round(mean(c.recall(split)), 4) for c in row] for row in cells]
    accuracy = [[None if c is None else round(mean(c.accuracy(split)), 4) for c in row] for row in cells]
    return HeatMapChart(
        f"{loss}: margin and scale ({NOUNS[split]} means)",
        Axis("margin"), Axis("scale"), [f"{m:g}" for m in margins], [f"{s:g}" for s in scales],
        [HeatMap("recall", recall), HeatMap("accuracy", accuracy)],
    )  # fmt: skip


def angle_variance(by_loss: ByLoss, colours: Mapping[str, str], names: Names) -> Chart | None:
    """Variance of the angle to the own class's weight against margin: important class solid, mean of others dotted.

    Losses without a margin are at 0, because L2-softmax is CAMRI with margin 0.
    """
    series = []
    for loss, configurations in by_loss.items():
        for index, (scale, points) in enumerate(_variances(configurations).items()):
            label = display(loss, names) + ("" if scale is None else f", scale {scale:g}")
            series += _variance_lines(label, sorted(points), colours[loss], list(MARKERS)[index % len(MARKERS)])
    if not series:
        return None
    x, y = Axis("margin (radians)"), Axis("variance (radians²)")
    hover = "margin {x}, variance {y:.5f}"
    return Chart("Angle to the own class's weight (test)", x, y, series, hover)


def _variances(configurations: Sequence[Configuration]) -> dict[float | None, list[tuple[float, float, float]]]:
    """By scale: margin, and the variances of the important class and of the others, means over the runs."""
    by_scale: dict[float | None, list[tuple[float, float, float]]] = {}
    for configuration in configurations:
        parameters = configuration.parameters
        has_margin = any("margin" in key for key in parameters)  # under any name: that of LDAM is not a single angle
        margin, scale = parameters.get("margin") if has_margin else 0, parameters.get("scale")
        runs = configuration.runs.values()
        sides = [by_side(run.angles.variance, configuration.important) for run in runs if run.angles]
        if isinstance(margin, int | float) and sides and (scale is None or isinstance(scale, int | float)):
            important, others = np.mean(sides, axis=0).tolist()
            by_scale.setdefault(scale, []).append((margin, important, others))
    return by_scale


def _variance_lines(label: str, points: Sequence[tuple[float, float, float]], colour: str, marker: str) -> list[Series]:
    margins, *sides = zip(*points, strict=True)
    return [
        Series(
            f"{label}: {side}", margins, values, colour, marker=marker, is_open=is_open, line=line,
            hover=[f"{label}, {side}"],
        )
        for side, values, line, is_open in zip(
            ("important", "others"), sides, ("solid", "dot"), (False, True), strict=True
        )
    ]  # fmt: skip
