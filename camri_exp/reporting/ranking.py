"""The important classes of the paper: worst, second worst and median by the mean recall of a loss in a sweep."""

import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from omegaconf import DictConfig, ListConfig

from camri_exp.errors import UserError
from camri_exp.reporting.collect import Run, collect

RANK = re.compile(r"worst([1-9]\d*)|median")


def resolve_ranks(cfg: DictConfig) -> None:
    """Replace ``worst1``, ``worst2``, …, ``median`` in ``cfg.important_class`` by class ids.

    The classes are ranked by the runs of the loss ``cfg.sweep.ranked_by`` in the sweep ``cfg.ranking_sweep``.

    Raises:
        UserError: a rank without ``ranking_sweep``, a sweep that cannot rank the classes of this data set, or a split
            that is neither ``val`` nor ``test``.
    """
    value = cfg.important_class
    is_list = isinstance(value, ListConfig)
    items = list(value) if is_list else [value]
    if not any(isinstance(item, str) and RANK.fullmatch(item) for item in items):
        return
    if cfg.ranking_sweep is None:
        raise UserError(
            f"important_class={value}: ranks need a finished sweep, whose recalls rank the classes: ranking_sweep=DIR"
        )
    sources = str(cfg.ranking_sweep), str(cfg.data.name), str(cfg.sweep.ranked_by)
    order = ranking(*sources, cfg.sweep.ranked_on)
    if cfg.get("seed") in ranking_seeds(*sources):
        _warn_of_equal_seeds(sources[0])
    classes = [ranked_class(item, order, cfg.data.name) for item in items]
    cfg.important_class = classes if is_list else classes[0]


@lru_cache
def ranking(sweep: str, data: str, loss: str, split: str = "val") -> tuple[int, ...]:
    """Class ids by mean recall over the runs of ``loss`` in ``sweep``, worst first; ties in order of the ids.

    Raises:
        UserError: no such run, or a split that is neither ``val`` nor ``test``.
    """
    if split not in ("val", "test"):
        raise UserError(f"sweep.ranked_on={split}: classes are ranked by their recall on val or test.")
    runs = [run for run in collect([Path(sweep)]).runs if run.data == data]
    ranked = [run for run in runs if run.loss == loss]
    if not ranked:
        losses = f"it has {', '.join(sorted({run.loss for run in runs}))}" if runs else f"it has no runs on {data}"
        raise UserError(f"ranking_sweep={sweep}: no finished run of {loss} on {data}; {losses}. sweep.ranked_by=LOSS")
    return tuple(int(k) for k in np.argsort(mean_recalls(ranked, split), kind="stable"))


@lru_cache
def ranking_seeds(sweep: str, data: str, loss: str) -> frozenset[int]:
    """The seeds of the runs that rank the classes."""
    return frozenset(run.seed for run in collect([Path(sweep)]).runs if (run.data, run.loss) == (data, loss))


@lru_cache
def _warn_of_equal_seeds(sweep: str) -> None:
    """Once per process: a class that was ranked by the runs that are compared is hard by chance in these runs."""
    print(
        f"note: ranking_sweep={sweep} has runs of this seed. A class that ranks worst there is hard by chance in these "
        "very runs, so that every loss seems to gain. Rank by other seeds, such as seed=range(10,15).",
        file=sys.stderr,
    )


def mean_recalls(runs: Sequence[Run], split: str = "val") -> npt.NDArray[np.float64]:
    """Recall of each class (K,), mean over the runs."""
    recalls = [[run.recall(split, [k]) for k in range(len(run.class_names))] for run in runs]
    return np.mean(np.array(recalls), axis=0)


def describe_ranks(runs: Sequence[Run], important: Sequence[int]) -> str:
    """The ranks of the classes ``important`` by validation recall, as a sentence."""
    recalls = mean_recalls(runs)
    order = np.argsort(recalls, kind="stable").tolist()
    ranks = [f"{runs[0].class_names[k]} is {order.index(k) + 1} ({recalls[k]:.4f})" for k in important]
    whole = f"Rank by mean validation recall of {runs[0].loss} among {len(order)} classes, worst first"
    return f"{whole}: {', '.join(ranks)}."


def ranked_class(item: str | int | None, order: Sequence[int], data: str) -> Any:
    """The class id of a rank; ``item`` itself if it is not a rank.

    Raises:
        UserError: there are fewer classes.
    """
    match = RANK.fullmatch(item) if isinstance(item, str) else None
    if match is None:
        return item
    index = int(match[1]) - 1 if match[1] else len(order) // 2
    if index >= len(order):
        raise UserError(f"important_class={item}: {data} has {len(order)} classes.")
    return order[index]
