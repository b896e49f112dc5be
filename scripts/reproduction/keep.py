"""What of a study goes into the repository: enough to rebuild every table, small enough to be kept for good."""

import shutil
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from camri_exp.results import read_result, write_json
from camri_exp.sweeps.collect import Run, collect
from camri_exp.sweeps.ranking import mean_recalls

Array = npt.NDArray[Any]
FIGURES = ("recall_accuracy", "margin_scale_camri", "angle_variance")


def keep(sweep: Path, kept: Path, study: str, planned: int, baseline: str = "ce") -> None:
    """Copy each run's ``result.json``, and the baseline's predictions as far as threshold moving needs them.

    ``planned`` is the number of runs of the whole study, of which the sweep may have a part.
    """
    runs = collect([sweep]).runs
    important = sorted({k for run in runs if not run.class_free for k in run.important} | ranked(runs, baseline))
    for run in runs:
        folder = kept / run.folder.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(run.folder / "result.json", folder)
        if run.loss == baseline:
            _keep_predictions(run, folder / "predictions.npz", important)
    (kept / "figures").mkdir(exist_ok=True)
    for name in FIGURES:
        for path in (sweep / "report" / "figures").glob(f"*_{name}.png"):
            shutil.copy(path, kept / "figures")
    write_json(kept / "study.json", _about(runs, study, planned))


def ranked(runs: Sequence[Run], baseline: str) -> set[int]:
    """The classes at worst1, worst2 and median: a study that goes on from what is kept of it will ask for them."""
    order = np.argsort(mean_recalls([run for run in runs if run.loss == baseline]), kind="stable").tolist()
    return {order[0], order[1], order[len(order) // 2]}


def restore(kept: Path, sweep: Path) -> None:
    """Put runs that were kept where the sweep looks for them, so that it trains the missing ones alone."""
    for path in kept.glob("*/result.json"):
        if not (sweep / path.parent.name / "result.json").is_file():
            shutil.copytree(path.parent, sweep / path.parent.name, dirs_exist_ok=True)


def _keep_predictions(run: Run, path: Path, important: Sequence[int]) -> None:
    arrays = {}
    for split in ("val", "test"):
        found = run.predictions(f"{split}_scores", f"{split}_target")
        if found is None:
            return
        arrays |= {f"{split}_scores": trimmed(found[0], important), f"{split}_target": found[1].astype(np.int16)}
    np.savez_compressed(path, **arrays)


def trimmed(scores: Array, classes: Sequence[int]) -> Array:
    """Scores (n, K) with all but each image's two best and the columns ``classes`` at one low value.

    Threshold moving for any of ``classes`` gives the same predictions from it, and it compresses to a tenth.
    """
    kept = np.zeros(scores.shape, bool)
    np.put_along_axis(kept, np.argsort(-scores, axis=1, kind="stable")[:, :2], True, axis=1)
    kept[:, list(classes)] = True
    return np.where(kept, scores, scores.min() - 1).astype(np.float32)


def _about(runs: Sequence[Run], study: str, planned: int) -> dict[str, Any]:
    results = [read_result(run.folder) for run in runs]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {
        "study": study,
        "date": date.today().isoformat(),
        "commit": commit,
        "torch": torch.__version__,
        "hardware": sorted({result["hardware"] for result in results}),
        "runs": len(runs),
        "planned": planned,
        "hours": round(sum(result["fit_seconds"] for result in results) / 3600, 2),
    }
