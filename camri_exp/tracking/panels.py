"""The panels of the dashboard, which the saved workspace and the report share."""

from collections.abc import Mapping

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr
from wandb_workspaces.reports.v2.interface import PanelTypes

from camri_exp.tracking.media import CONFUSED, CONFUSION, MISSED, PER_CLASS, RECALL_ACCURACY
from camri_exp.tracking.wandb import STEP

ACCURACY, RECALL = wr.SummaryMetric("test/accuracy"), wr.SummaryMetric("test/recall_important")
LOSS, MARGIN, SCALE = wr.Config("loss.name"), wr.Config("loss.margin"), wr.Config("loss.scale")
# Runs that differ by the seed alone are one group.
GROUPS = ("loss.name", "data.name", "important_class_names", "model.name", "loss.margin", "loss.scale")
FILTERS = {"data": "data.name", "important_class": "important_class_names", "loss": "loss.name"}
COLUMNS = (
    *(f"config:{name.replace('.', '.value.', 1) if '.' in name else name + '.value'}" for name in (*GROUPS, "seed")),
    *(f"summary:{name}" for name in ("test/accuracy", "test/recall_important", "test/precision_important")),
    *(f"summary:{name}" for name in ("test/macro_recall", "chosen/val/accuracy", "chosen/val/recall_important")),
    *(f"summary:{name}" for name in ("epochs", "fit_seconds")),
)
EACH_CLASS = "val/recall/.+"
# One colour per loss: W&B would colour by configuration.
COLOURS = (
    *("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"),
    *("#bbbbbb", "#ee7733", "#332288", "#8c564b", "#000000", "#99dd55"),
    *("#999933", "#882255", "#44aa99", "#ddcc77", "#7f7f7f", "#1b9e77"),
)


def sections(baseline: str) -> list[ws.Section]:
    """All panels by section; ``baseline`` is the text on the baseline in the title of the first panel."""
    return [
        ws.Section(name="Recall against accuracy", panels=recall_accuracy(baseline), is_open=True),
        ws.Section(name="Which loss, margin and scale", panels=settings(), is_open=True),
        ws.Section(name="Curves", panels=curves(), is_open=False),
        ws.Section(name="Classes, mistakes, missed images", panels=classes(), is_open=True),
    ]


def recall_accuracy(baseline: str) -> list[PanelTypes]:
    chosen = wr.SummaryMetric("chosen/val/accuracy"), wr.SummaryMetric("chosen/val/recall_important")
    return [
        wr.ScatterPlot(
            title=f"Test: recall against accuracy. {baseline}", x=ACCURACY, y=RECALL, layout=wr.Layout(w=12, h=10)
        ),
        wr.ScatterPlot(title="Validation, for choosing", x=chosen[0], y=chosen[1], layout=wr.Layout(x=12, w=12, h=10)),
        media("Each run, with threshold moving", RECALL_ACCURACY, y=10),
    ]


def settings() -> list[PanelTypes]:
    axes: list[wr.Config | wr.SummaryMetric] = [LOSS, MARGIN, SCALE, wr.Config("important_class_names")]
    axes += [wr.Config("seed"), ACCURACY, RECALL]
    return [
        wr.ParallelCoordinatesPlot(
            title="Configuration, accuracy and recall",
            columns=[wr.ParallelCoordinatesPlotColumn(metric=axis) for axis in axes],
            layout=wr.Layout(w=24, h=9),
        ),
        wr.ScatterPlot(title="Recall by margin and scale", x=MARGIN, y=RECALL, z=SCALE, layout=wr.Layout(y=9, h=8)),
        by_loss("Recall of the important class by loss (mean, sd over runs)", RECALL.name, x=8, y=9),
        by_loss("Accuracy by loss (mean, sd over runs)", ACCURACY.name, x=16, y=9),
    ]


def by_loss(title: str, metric: str, x: int, y: int) -> wr.BarPlot:
    return wr.BarPlot(
        title=title,
        metrics=[metric],
        groupby=LOSS,
        groupby_aggfunc="mean",
        groupby_rangefunc="stddev",
        layout=wr.Layout(x=x, y=y, h=8),
    )


def curves() -> list[PanelTypes]:
    shown: list[tuple[str, list[str]]] = [
        ("Validation: recall of the important class", ["val/recall_important"]),
        ("Validation: accuracy", ["val/accuracy"]),
        ("Validation: precision of the important class", ["val/precision_important"]),
        ("Training loss", ["train/loss"]),
        ("Mean angle to the weight of the true class (radians)", ["val/angle_mean_important", "val/angle_mean_rest"]),
        ("Variance of that angle", ["val/angle_var_important", "val/angle_var_rest"]),
        ("Learning rate", ["train/lr"]),
        ("Images per second", ["train/images_per_second"]),
    ]
    return [
        wr.LinePlot(title=title, x=STEP, y=[*keys], layout=wr.Layout(x=i % 3 * 8, y=i // 3 * 6))
        for i, (title, keys) in enumerate(shown)
    ]


def classes() -> list[PanelTypes]:
    return [
        media("Confusion matrices of the selected runs", CONFUSION, y=0),
        wr.LinePlot(
            title="Validation: recall per class",
            x=STEP,
            metric_regex=EACH_CLASS,
            layout=wr.Layout(y=8, w=24, h=8),
        ),
        table(PER_CLASS, y=16),
        table(CONFUSED, y=24),
        table(MISSED, y=32),
    ]


def media(title: str, key: str, y: int) -> wr.MediaBrowser:
    return wr.MediaBrowser(title=title, media_keys=[key], num_columns=4, layout=wr.Layout(y=y, w=24, h=8))


def table(key: str, y: int) -> wr.WeavePanelSummaryTable:
    """The tables of all selected runs, one below the other; the title is the key."""
    return wr.WeavePanelSummaryTable(table_name=key, layout=wr.Layout(y=y, w=24, h=8))


def filters(chosen: Mapping[str, str]) -> expr.And:
    """Finished training runs of the given data set, important class and loss."""
    asked = [expr.Config(FILTERS[name]) == value for name, value in chosen.items()]
    return expr.And(expr.Metric("State") == "finished", expr.Metric("JobType") == "train", *asked)
