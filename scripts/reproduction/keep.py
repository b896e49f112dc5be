"""What of a study goes into the repository: enough to rebuild every table, small enough to be kept for good."""

import dataclasses
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from camri_exp.data.class_ids import resolve
from camri_exp.reporting import ranking as ranks
from camri_exp.reporting.collect import Run, collect
from camri_exp.reporting.threshold_baseline import moved_threshold
from camri_exp.results import read_result, write_json

Array = npt.NDArray[Any]
FIGURES = ("recall_accuracy", "margin_scale_camri", "angle_variance")


def keep(sweep: Path, kept: Path, study: str, planned: Mapping[Path, Sequence[str]], ranking: Path | None) -> None:
    """Copy each run's ``result.json``, what moving its threshold gives, and cross-entropy's predictions as far as
    threshold moving needs them.

    ``planned``: the overrides of all runs of the study, of which the sweep may have a part. ``ranking``: the sweep that
    ranks the classes.
    """
    runs = results(sweep, kept, planned)
    asked = {k for run in runs if not run.class_free for k in run.important}
    important = sorted(asked | asked_for(planned.values(), runs[0], ranking))
    for run in runs:
        if run.loss == "ce":
            _keep_predictions(run, kept / run.folder.name / "predictions.npz", important)
        _keep_moved(run, kept / run.folder.name / "moved.json", important)
    shutil.rmtree(kept / "figures", ignore_errors=True)
    (kept / "figures").mkdir()
    for name in FIGURES:
        for path in (sweep / "report" / "figures").glob(f"*_{name}.png"):
            shutil.copy(path, kept / "figures")
    write_json(kept / "study.json", _about(runs, study, len(planned)))


def results(sweep: Path, kept: Path, planned: Iterable[Path]) -> list[Run]:
    """Copy the ``result.json`` of each run below ``sweep``, and return the runs.

    Kept runs that are neither there nor ``planned`` go, so that a smaller grid leaves nothing behind.
    """
    runs = collect([sweep]).runs
    known = {folder.name for folder in (*planned, *(run.folder for run in runs))}
    for path in kept.glob("*/result.json"):
        if path.parent.name not in known:
            shutil.rmtree(path.parent)
    for run in runs:
        folder = kept / run.folder.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(run.folder / "result.json", folder)
    return runs


def asked_for(jobs: Iterable[Sequence[str]], run: Run, ranking: Path | None) -> set[int]:
    """Ids of the classes that are important in ``jobs``: a study that goes on from what is kept will ask for them."""
    key = "important_class="
    values = {item.removeprefix(key) for job in jobs for item in job if item.startswith(key)} - {"null"}
    order = ranks.ranking(str(ranking), run.data, "ce", "test") if ranking else ()
    return {
        k for value in values for k in resolve(ranks.ranked_class(value, order, run.data), run.class_names, run.data)
    }


def restore(kept: Path, sweep: Path) -> None:
    """Put runs that were kept where the sweep looks for them, so that it trains the missing ones alone."""
    for path in kept.glob("*/result.json"):
        if not (sweep / path.parent.name / "result.json").is_file():
            shutil.copytree(path.parent, sweep / path.parent.name, dirs_exist_ok=True)


def _keep_moved(run: Run, path: Path, asked: Sequence[int]) -> None:
    """What moving the run's own threshold gives, for each class it was or might have been trained for, by its name."""
    moved = {
        run.class_names[k]: dataclasses.asdict(found)
        for k in (asked if run.class_free else run.important)
        if (found := moved_threshold(run, [k], "val"))
    }
    if moved:
        write_json(path, moved)


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
