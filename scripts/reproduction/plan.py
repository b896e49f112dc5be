"""The studies, the jobs of each, and how long they take."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from camri_exp.cli import CONFIGS, register_resolvers
from camri_exp.identity import job_name
from camri_exp.reporting.ranking import resolve_ranks
from camri_exp.results import RESULT, RunResult
from camri_exp.sweeps.grid import expand
from camri_exp.sweeps.progress import span


@dataclass(frozen=True)
class Study:
    """One comparison of losses.

    Attributes:
        overrides: of its sweep.
        ranking: the seeds of the cross-entropy runs that rank the classes beforehand, on test; None without a ranking.
        parallel: whether several processes share the jobs; False where Ray distributes them.
    """

    overrides: tuple[str, ...]
    ranking: str | None = None
    parallel: bool = True


PACKED = ("logger=none", "hydra/launcher=ray", "sweep.gpus_per_job=0.125")  # eight runs share a GPU


def _gpu(dataset: str) -> Study:
    recipe = (f"experiment={dataset}_table1", f"experiment@_global_={dataset}_gpu")
    return Study((*recipe, *PACKED), "range(10,15)", parallel=False)


def _paper(dataset: str, important_class: str) -> Study:
    """The exact settings of the paper, 300 epochs, with one seed."""
    chosen = (f"experiment={dataset}_paper", "loss=ce,l2_softmax,camri", f"important_class={important_class}", "seed=0")
    return Study((*chosen, *PACKED), parallel=False)


STUDIES = {
    "digits_cpu": Study(("experiment=digits_quick",)),
    "gtsrb_cpu": Study(("experiment=gtsrb_cpu_table1",), "range(5,10)"),
    "cifar10_cpu": Study(("experiment=cifar10_cpu_table1",)),
    "gtsrb_gpu": _gpu("gtsrb"),
    "cifar10_gpu": _gpu("cifar10"),
    "cifar10_paper": _paper("cifar10", "cat"),
}


def planned(overrides: Sequence[str], sweep: Path) -> dict[Path, list[str]]:
    """The overrides of the jobs of a sweep, by their folders below ``sweep``; nothing is started."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        fixed = [item for item in overrides if not set("(,") & set(item)]  # a list of values is not a value of a config
        cfg = compose("train", fixed, return_hydra_config=True)

        def keys_of(loss: str) -> list[str]:
            return [str(key) for key in compose("train", [f"loss={loss}"]).loss]

        jobs = expand(
            cfg.hydra.sweeper.params or {}, cfg.sweep.only, overrides, cfg.hydra.runtime.choices.loss, keys_of
        )
        return {sweep / job_name(job): job for job in jobs}


def job_config(overrides: Sequence[str]) -> DictConfig:
    """The config of a job of a sweep, as the job itself composes and completes it."""
    seeds = [item for item in overrides if item.startswith("seed=")]
    cfg = _without_seed(tuple(item for item in overrides if item not in seeds)).copy()
    if seeds:
        cfg.seed = int(seeds[-1].removeprefix("seed="))
    return cfg


@lru_cache
def _without_seed(overrides: tuple[str, ...]) -> DictConfig:
    """The config of all jobs that differ by the seed alone: composing it takes a third of a second."""
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("train", list(overrides))
    resolve_ranks(cfg)
    cfg.trainer.enable_progress_bar = False  # as in every job of a sweep
    return cfg


def table(name: str, jobs: Mapping[Path, Sequence[str]], archived: Path, workers: int, restored: bool = False) -> str:
    """The number of runs of each loss, how many are finished, and an estimate of the time for the others.

    Args:
        name: of the study.
        jobs: the overrides of each job, by its folder.
        archived: the folder of the unpacked runs of the study, from which the time is estimated as long as no run is
            finished.
        workers: the number of runs at a time.
        restored: whether archived runs count as finished.
    """
    losses = Counter(item.removeprefix("loss=") for job in jobs.values() for item in job if item.startswith("loss="))
    words = ", ".join(f"{count} {loss}" for loss, count in losses.items())
    known = {path.parent.name: path for path in archived.glob(f"*/*/{RESULT}")}
    finished = {folder.name: folder / RESULT for folder in jobs if (folder / RESULT).is_file()}
    if restored:
        finished = {folder.name: known[folder.name] for folder in jobs if folder.name in known} | finished
    left = len(jobs) - len(finished)
    lines = [f"{name}: {len(jobs)} runs ({words}); {len(finished)} finished, {left} to go."]
    seconds = [RunResult.read(path).fit_seconds for path in (finished or known).values()]
    if not seconds:
        lines.append("The time per run is not known yet; the progress line shows an estimate after the first run.")
    elif left:
        each = statistics.median(seconds)
        lines.append(f"A run took {span(each)} so far: about {span(each * left / workers)} with {workers} at a time.")
    return "\n".join(lines)
