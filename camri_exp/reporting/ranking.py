"""The paper's important classes: those that rank worst, second worst and median by the recall of a baseline."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, ListConfig

from camri_exp.errors import UserError
from camri_exp.reporting.collect import Run, collect

RANK = re.compile(r"worst([1-9]\d*)|median")


def resolve_ranks(cfg: DictConfig) -> None:
    """Replace ``worst1``, ``worst2``, …, ``median`` in ``cfg.important_class`` by ids ranked in ``cfg.ranking_sweep``.

    Raises:
        UserError: a rank without ``ranking_sweep``, or a sweep that cannot rank this data set's classes; a split
            that is neither ``val`` nor ``test``.
    """
    given = cfg.important_class
    listed = isinstance(given, ListConfig)
    wanted = list(given) if listed else [given]
    if not any(isinstance(item, str) and RANK.fullmatch(item) for item in wanted):
        return
    if cfg.ranking_sweep is None:
        raise UserError(
            f"important_class={given} ranks classes by a finished sweep's recall. Say which: ranking_sweep=DIR"
        )
    order = ranking(str(cfg.ranking_sweep), cfg.data.name, cfg.sweep.ranked_by, cfg.sweep.ranked_on)
    found = [ranked_class(item, order, cfg.data.name) for item in wanted]
    cfg.important_class = found if listed else found[0]


@lru_cache
def ranking(sweep: str, data: str, loss: str, split: str = "val") -> tuple[int, ...]:
    """Class ids by mean recall over the runs of ``loss`` in ``sweep``, worst first; ties in order of their ids."""
    if split not in ("val", "test"):
        raise UserError(f"sweep.ranked_on={split}: classes are ranked by their recall on val or test.")
    runs = [run for run in collect([Path(sweep)]).runs if run.data == data]
    own = [run for run in runs if run.loss == loss]
    if not own:
        there = f"it has {', '.join(sorted({run.loss for run in runs}))}" if runs else f"it has no runs on {data}"
        raise UserError(f"ranking_sweep={sweep}: no finished run of {loss} on {data}; {there}. sweep.ranked_by=LOSS")
    return tuple(int(i) for i in np.argsort(mean_recalls(own, split), kind="stable"))


def mean_recalls(runs: Sequence[Run], split: str = "val") -> Any:
    """Mean over the runs of each class's recall (K,)."""
    return np.mean([[run.recall(split, [k]) for k in range(len(run.class_names))] for run in runs], axis=0)


def places(runs: Sequence[Run], important: Sequence[int]) -> str:
    """Where the classes ``important`` stand, in words: ``… the worst first: Stop is 2 (0.8712).``."""
    recalls = mean_recalls(runs)
    order = np.argsort(recalls, kind="stable").tolist()
    found = [f"{runs[0].class_names[k]} is {order.index(k) + 1} ({recalls[k]:.4f})" for k in important]
    return f"Of {len(order)} classes by mean validation recall of {runs[0].loss}, the worst first: {', '.join(found)}."


def ranked_class(item: Any, order: Sequence[int], data: str) -> Any:
    """The class id at a rank; whatever is not a rank, as it is."""
    match = RANK.fullmatch(item) if isinstance(item, str) else None
    if match is None:
        return item
    place = int(match[1]) - 1 if match[1] else len(order) // 2
    if place >= len(order):
        raise UserError(f"important_class={item}: {data} has {len(order)} classes.")
    return order[place]
