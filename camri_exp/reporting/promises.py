"""The price of a promise: each method at the threshold with which it promises a recall, over seeds.

Every method has its threshold moved, the baseline too. The configuration of a loss is chosen for each seed by the other
seeds, by their validation accuracy at the threshold for that recall on validation; the threshold is then calibrated on
the calibration images of the seed's own run, which chose nothing, and its price is read from the test images.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from camri_exp.evaluation.promise import CALIBRATION, VALIDATION, Promise, promise
from camri_exp.evaluation.promise_text import percent
from camri_exp.figures.chart import MARKERS, Axis, Chart, ReferenceLine, Series
from camri_exp.metrics import threshold
from camri_exp.reporting.grouping import Configuration, mean
from camri_exp.reporting.runs import Run
from camri_exp.reporting.selection import TaskComparison
from camri_exp.reporting.statistics import Difference, difference
from camri_exp.reporting.tables import NOTHING, display, spread
from camri_exp.results import SplitPredictions

RECALLS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99)
Splits = Mapping[str, SplitPredictions]
HEADER = (
    "method", "n", "accuracy", "change in pp (95 % CI)", "against the baseline with a promise, in pp (95 % CI)",
    "false alarms", "recall on test", "kept",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """The recall to promise, and the confidence."""

    recall: float
    confidence: float


@dataclass(frozen=True)
class RunPrice:
    """One run at its promised threshold: test accuracy, false alarms and mean recall; ``split`` calibrated it."""

    accuracy: float
    false_alarms: float
    recall: float
    split: str


@dataclass(frozen=True)
class MethodPrice:
    """A loss at its promised thresholds: the chosen run and its price by seed. Seeds without a promise are left out.

    ``curve`` has the prices of all seeds by recall, for ``RECALLS`` and the one that was asked for; None where it is
    out of reach.
    """

    loss: str
    runs: Mapping[int, Run]
    prices: Mapping[int, RunPrice]
    curve: Mapping[float, Mapping[int, RunPrice | None]]

    def by_seed(self, name: str) -> dict[int, float]:
        return {seed: getattr(made, name) for seed, made in self.prices.items()}


@dataclass(frozen=True)
class TaskPrices:
    """The prices of all methods of a task, the baseline first; ``unchanged`` is its accuracy without a threshold."""

    asked: Asked
    important: tuple[int, ...]
    methods: list[MethodPrice]
    unchanged: Mapping[int, float]

    @property
    def is_promise(self) -> bool:
        """Whether all thresholds come from calibration images, which chose nothing."""
        return all(made.split == CALIBRATION for method in self.methods for made in method.prices.values())


def task_prices(comparison: TaskComparison, asked: Asked) -> TaskPrices:
    """The price of a promise for the baseline and every other loss of a task."""
    important, losses = comparison.task.important, dict[str, list[Configuration]]()
    baseline = comparison.baseline.configuration
    assert baseline is not None
    losses[baseline.loss] = [baseline]
    for configuration in comparison.candidates:
        losses.setdefault(configuration.loss, []).append(configuration)
    methods = [_method_price(loss, group, important, asked) for loss, group in losses.items()]
    return TaskPrices(asked, important, methods, baseline.accuracy("test"))


def _method_price(
    loss: str, configurations: Sequence[Configuration], important: tuple[int, ...], asked: Asked
) -> MethodPrice:
    chosen = _chosen(configurations, important, asked)
    curve: dict[float, dict[int, RunPrice | None]] = {recall: {} for recall in sorted({*RECALLS, asked.recall})}
    for seed, run in chosen.items():
        splits = predictions_of(run)  # of one run at a time
        for recall, by_seed in curve.items():
            by_seed[seed] = run_price(run, splits, important, replace(asked, recall=recall))
    prices = {seed: made for seed, made in curve[asked.recall].items() if made is not None}
    return MethodPrice(loss, chosen, prices, curve)


def _chosen(configurations: Sequence[Configuration], important: tuple[int, ...], asked: Asked) -> dict[int, Run]:
    """For each seed the run of the configuration that is the cheapest on the validation of the other seeds."""
    if len(configurations) == 1:
        return dict(configurations[0].runs)
    accuracy = [{s: _validation_accuracy(run, important, asked) for s, run in c.runs.items()} for c in configurations]
    common = set.intersection(*(set(by_seed) for by_seed in accuracy))
    chosen = {}
    for seed in sorted(common) if len(common) > 1 else []:
        means = [mean({s: by_seed[s] for s in common - {seed}}) for by_seed in accuracy]
        cheapest = int(np.nan_to_num(means, nan=-1.0).argmax())
        chosen[seed] = configurations[cheapest].runs[seed]
    return chosen


def _validation_accuracy(run: Run, important: tuple[int, ...], asked: Asked) -> float:
    """Validation accuracy at the threshold for the recall on validation; NaN where there is none."""
    val = predictions_of(run, VALIDATION).get(VALIDATION)
    if val is None or len(important) == len(run.class_names):
        return math.nan
    made = promise({VALIDATION: val}, important, run.class_names, asked.recall, asked.confidence)
    if any(map(math.isnan, made.biases)):
        return math.nan
    return float((threshold.moved(val.scores, important, made.biases) == val.target).mean())


def run_promise(run: Run, splits: Splits, important: tuple[int, ...], asked: Asked) -> Promise | None:
    """The promise of a run from its calibration images, else validation images; None where it is out of reach."""
    has_threshold = len(important) < len(run.class_names)
    if not has_threshold or not {CALIBRATION, VALIDATION} & set(splits):
        return None
    made = promise(splits, important, run.class_names, asked.recall, asked.confidence)
    return made if all(own.reached for own in made.per_class) else None


def run_price(run: Run, splits: Splits, important: tuple[int, ...], asked: Asked) -> RunPrice | None:
    """The price of a promise of one run on its test images; None without predictions or where it is out of reach."""
    made, test = run_promise(run, splits, important, asked), splits.get("test")
    if made is None or test is None:
        return None
    prediction = threshold.moved(test.scores, important, made.biases)
    hit, inside = prediction == test.target, np.isin(test.target, important)
    recalls = [hit[test.target == k].mean() for k in important]
    alarms = np.isin(prediction, important)[~inside].mean()
    return RunPrice(float(hit.mean()), float(alarms), float(np.mean(recalls)), made.split)


def predictions_of(run: Run, *splits: str) -> Splits:
    """The stored predictions of ``splits``, by default of all that evaluate the run; absent ones are left out."""
    wanted = splits or (CALIBRATION, VALIDATION, "test")
    arrays = run.stored(*(f"{split}_{key}" for split in wanted for key in ("scores", "target", "name", "group")))
    known = [split for split in wanted if {f"{split}_scores", f"{split}_target"} <= set(arrays)]
    return {split: SplitPredictions.from_arrays(arrays, split) for split in known}


def caption(prices: TaskPrices) -> str:
    """What the table of prices shows."""
    asked, verb = prices.asked, "is promised" if prices.is_promise else "is estimated, not promised,"
    text = (
        f"The price of a promise: every method at the threshold at which a recall of {percent(asked.recall)} {verb} "
        f"with {percent(asked.confidence)} confidence. Change: from the accuracy of the unchanged baseline. False "
        "alarms: the share of the other test images. Kept: seeds whose test recall is at least that large."
    )
    if not prices.is_promise:
        text += " The thresholds are from validation images, which chose the checkpoints; train with"
        text += " data.calibration_fraction=0.2 for images that choose nothing."
    return text


def table(prices: TaskPrices, names: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the baseline first. ``-`` where too few images allow the promise."""
    base, rows = prices.methods[0], []
    for method in prices.methods:
        accuracy, recall = method.by_seed("accuracy"), method.by_seed("recall")
        if not accuracy:
            rows.append([display(method.loss, names), "0", *[NOTHING] * (len(HEADER) - 2)])
            continue
        against = NOTHING if method is base else points(difference(accuracy, base.by_seed("accuracy")))
        kept = sum(value >= prices.asked.recall for value in recall.values())
        alarms = f"{100 * mean(method.by_seed('false_alarms')):.2f} %"
        row = [display(method.loss, names), str(len(accuracy)), spread(difference(accuracy))]
        row += [points(difference(accuracy, prices.unchanged)), against, alarms, spread(difference(recall))]
        rows.append([*row, f"{kept} of {len(recall)}"])
    return list(HEADER), rows


def points(change: Difference) -> str:
    """A difference in percentage points with its CI."""
    if not change.n:
        return NOTHING
    text = f"{100 * change.mean:+.2f}"
    return f"{text} ({100 * change.low:+.2f} to {100 * change.high:+.2f})" if change.known else text


def price_chart(prices: TaskPrices, classes: str, colours: Mapping[str, str], names: Mapping[str, str]) -> Chart | None:
    """Mean change in accuracy against the promised recall, a line per method; None where nothing can be promised."""
    series = []
    for index, method in enumerate(prices.methods):
        curve = _curve(method, prices)
        if curve:
            label, marker = display(method.loss, names), list(MARKERS)[index % len(MARKERS)]
            x, y = zip(*curve, strict=True)
            series.append(
                Series(label, x, y, colours[method.loss], marker=marker, line="solid", hover=[label] * len(x))
            )
    if not series:
        return None
    verb, article = ("promised", "a promised") if prices.is_promise else ("estimated", "an estimated")
    return Chart(
        f"The price of {article} recall of {classes}",
        Axis(f"{verb} recall, {percent(prices.asked.confidence)} confidence"),
        Axis("test accuracy minus that of the unchanged baseline (pp)"),
        series,
        "recall {x:.3f}: {y:+.2f} pp",
        ReferenceLine(prices.asked.recall, f"asked for: {percent(prices.asked.recall)}"),
    )


def _curve(method: MethodPrice, prices: TaskPrices) -> list[tuple[float, float]]:
    """Recalls that all seeds of the method can promise, and the mean change in accuracy in percentage points."""
    points = []
    for recall, made in method.curve.items():
        changes = [p.accuracy - prices.unchanged[s] for s, p in made.items() if p is not None and s in prices.unchanged]
        if len(changes) == len(made) and changes:
            points.append((recall, 100 * float(np.mean(changes))))
    return points
