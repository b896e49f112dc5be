"""The recall of all classes and of the rare ones, where classes have very different numbers of training images."""

from collections.abc import Mapping

from camri_exp.reporting.grouping import Configuration
from camri_exp.reporting.selection import TaskComparison
from camri_exp.reporting.statistics import difference
from camri_exp.reporting.tables import display, fraction

HEADER = ["method", "configuration", "n", "accuracy", "macro recall", "recall of the rare third"]
METRICS = ("accuracy", "macro_recall", "recall_rare")


def long_tail(comparison: TaskComparison, names: Mapping[str, str]) -> tuple[list[str], list[list[str]]] | None:
    """Header and rows: test metrics of all configurations, mean ± standard deviation; None without rare classes."""
    known = [
        configuration
        for configuration in comparison.configurations
        if all(run.metrics["test"].recall_rare is not None for run in configuration.runs.values())
    ]
    if not known:
        return None
    return HEADER, [
        [display(item.loss, names), item.label, str(len(item.runs)), *(_spread(item, name) for name in METRICS)]
        for item in known
    ]


def _spread(configuration: Configuration, metric: str) -> str:
    values = difference({seed: getattr(run.metrics["test"], metric) for seed, run in configuration.runs.items()})
    return fraction(values.mean) if values.n < 2 else f"{fraction(values.mean)} ± {fraction(values.sd)}"
