"""What the repository keeps of a study: one archive of its runs, from which every table can be rebuilt.

``docs/results/<study>/runs.zip`` contains for each run ``runs/<job>/`` with ``result.json``, ``moved.json`` (the
metrics after threshold moving) and, for cross-entropy, the part of ``predictions.npz`` that threshold moving needs;
``ranking/<job>/`` contains the ``result.json`` of the runs that ranked the classes.
"""

import dataclasses
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from camri_exp.data.class_ids import resolve_class_ids
from camri_exp.data.factory import important_class_ids
from camri_exp.files import write_json
from camri_exp.identity import config_hash, identity_of
from camri_exp.instantiate import target_of
from camri_exp.records import Number, Record
from camri_exp.reporting.collect import Run, collect
from camri_exp.reporting.ranking import ranked_class, ranking
from camri_exp.reporting.threshold_baseline import moved_threshold
from camri_exp.results import PREDICTIONS, RESULT, RunResult
from reproduction.plan import job_config
from reproduction.zip_archive import MOVED, RANKING, RUNS, pack, unpack

ARCHIVE, STUDY = "runs.zip", "study.json"
FIGURES = ("recall_accuracy", "margin_scale_camri", "angle_variance")


@dataclass(frozen=True, kw_only=True)
class StudyRecord(Record):
    """``study.json``: when, with what and for how long the archived runs of a study were trained."""

    study: str
    date: str
    commit: str
    torch: str
    hardware: list[str]
    runs: int
    planned: int
    hours: Number


def archive_study(
    name: str,
    kept: Path,
    sweep: Path,
    jobs: Mapping[Path, Sequence[str]],
    ranking_sweep: Path | None = None,
    ranking_jobs: Collection[Path] = (),
) -> None:
    """Archive the finished runs of the study ``name`` in the folder ``kept``, with the figures of its report.

    Args:
        name: of the study.
        kept: the folder of the study in docs/results. Planned runs that only its archive has stay there.
        sweep: the folder of the sweep, which may have finished a part of its jobs only.
        jobs: the overrides of all planned jobs, by their folders.
        ranking_sweep: the folder of the sweep that ranks the classes.
        ranking_jobs: the folders of its planned jobs.
    """
    with unpacked(kept) as archived:
        if ranking_sweep is not None:
            _update(archived / RANKING, collect([ranking_sweep]).runs, ranking_jobs)
        runs = collect([sweep]).runs
        _update(archived / RUNS, runs, jobs)
        trained_for = {k for run in runs if not run.class_free for k in run.important}
        important = sorted(trained_for | important_in(jobs.values(), runs[0], ranking_sweep))
        for run in runs:
            folder = archived / RUNS / run.folder.name
            if run.loss == "ce":
                _write_predictions(run, folder / PREDICTIONS, important)
            _write_moved(run, folder / MOVED, important if run.class_free else run.important)
        pack(archived, kept / ARCHIVE)
        _summary(name, collect([archived / RUNS]).runs, len(jobs)).write(kept / STUDY)
    shutil.rmtree(kept / "figures", ignore_errors=True)
    (kept / "figures").mkdir()
    for figure in FIGURES:
        for path in (sweep / "report" / "figures").glob(f"*_{figure}.png"):
            shutil.copy(path, kept / "figures")


@contextmanager
def unpacked(kept: Path) -> Iterator[Path]:
    """A temporary folder with the archived runs of a study; empty where the study has no archive yet.

    Raises:
        UserError: the archive is damaged, or contains other files than those of runs.
    """
    with tempfile.TemporaryDirectory() as folder:
        if (kept / ARCHIVE).is_file():
            unpack(kept / ARCHIVE, Path(folder))
        yield Path(folder)


def restore(archived: Path, jobs: Mapping[Path, Sequence[str]]) -> None:
    """Copy archived runs to where the sweep expects them, so that it trains the missing ones only.

    ``archived`` is a folder of unpacked runs, and ``jobs`` holds the overrides of the jobs, by their folders. A run is
    recognised by the name of its job. Its hashes are replaced by those of this version of camri_exp, because hashes
    change between versions, and the sweep would train a run with another hash again. A run of another important class
    than the job has, such as that of an earlier ranking, is not restored.
    """
    for folder, overrides in jobs.items():
        source = archived / folder.name
        if (folder / RESULT).is_file() or not (source / RESULT).is_file():
            continue
        cfg, result = job_config(overrides), RunResult.of(source)
        if important_class_ids(cfg, result) != result.important_class:
            continue
        needs = target_of(cfg.loss, f"loss={cfg.loss.name}").needs
        configuration = identity_of(cfg, needs).configuration
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(RESULT), dirs_exist_ok=True)
        dataclasses.replace(result, config_hash=config_hash(cfg), setting=configuration).write(folder / RESULT)


def _update(archived: Path, runs: Iterable[Run], planned: Iterable[Path]) -> None:
    """Copy the results of ``runs`` below ``archived``, and remove runs that are neither among them nor planned."""
    runs = list(runs)
    names = {folder.name for folder in (*planned, *(run.folder for run in runs))}
    for path in archived.glob("*"):
        if path.name not in names:
            shutil.rmtree(path)
    for run in runs:
        folder = archived / run.folder.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(run.folder / RESULT, folder)


def important_in(jobs: Iterable[Sequence[str]], run: Run, ranking_sweep: Path | None) -> set[int]:
    """Ids of the classes that are important in ``jobs``, which a sweep that is continued later will require."""
    key = "important_class="
    values = {item.removeprefix(key) for job in jobs for item in job if item.startswith(key)} - {"null"}
    order = ranking(str(ranking_sweep), run.data, "ce", "test") if ranking_sweep else ()
    classes = [ranked_class(value, order, run.data) for value in values]
    return {k for chosen in classes for k in resolve_class_ids(chosen, run.class_names, run.data)}


def _write_moved(run: Run, path: Path, classes: Sequence[int]) -> None:
    """Write the metrics after moving the threshold of ``run``, for each of ``classes`` by its name."""
    moved = {run.class_names[k]: moved_threshold(run, [k], "val") for k in classes}
    known = {name: dataclasses.asdict(result) for name, result in moved.items() if result is not None}
    if known:
        write_json(path, known)


def _write_predictions(run: Run, path: Path, important: Sequence[int]) -> None:
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for split in ("val", "test"):
        predictions = run.predictions(f"{split}_scores", f"{split}_target")
        if predictions is None:
            return
        scores, target = predictions
        arrays |= {f"{split}_scores": trimmed(scores, important), f"{split}_target": target.astype(np.int16)}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def trimmed(scores: npt.NDArray[np.floating], classes: Sequence[int]) -> npt.NDArray[np.float32]:
    """Scores (n, K) in which one low value replaces all but the two best of each image and the columns ``classes``.

    Threshold moving for any of ``classes`` gives the same predictions from them, and they compress to a tenth. Trimming
    them again changes nothing.
    """
    kept = np.zeros(scores.shape, bool)
    np.put_along_axis(kept, np.argsort(-scores, axis=1, kind="stable")[:, :2], True, axis=1)
    kept[:, list(classes)] = True
    return np.where(kept, scores, scores[kept].min() - 1).astype(np.float32)


def _summary(name: str, runs: Sequence[Run], planned: int) -> StudyRecord:
    results = [RunResult.of(run.folder) for run in runs]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return StudyRecord(
        study=name,
        date=date.today().isoformat(),
        commit=commit,
        torch=torch.__version__,
        hardware=sorted({result.hardware for result in results}),
        runs=len(runs),
        planned=planned,
        hours=round(sum(result.fit_seconds for result in results) / 3600, 2),
    )
