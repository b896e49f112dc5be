"""The studies, the runs that each takes, and about how long."""

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir

from camri_exp.cli import CONFIGS
from camri_exp.sweeps.grid import expand
from camri_exp.sweeps.naming import job_name
from camri_exp.sweeps.watch import span


@dataclass(frozen=True)
class Study:
    """The overrides of a sweep; ``ranks``: cross-entropy comes first and ranks the classes; ``shared_out``: the jobs
    go to several processes, where Ray does not do it."""

    overrides: tuple[str, ...]
    ranks: bool
    shared_out: bool


def _gpu(dataset: str) -> Study:
    recipe = (f"experiment={dataset}_table1", f"experiment@_global_={dataset}_gpu", "logger=none")
    return Study((*recipe, "hydra/launcher=ray", "sweep.gpus_per_job=0.125"), ranks=True, shared_out=False)


STUDIES = {
    "digits_cpu": Study(("experiment=digits_quick",), ranks=False, shared_out=True),
    "gtsrb_cpu": Study(("experiment=gtsrb_cpu_table1",), ranks=True, shared_out=True),
    "cifar10_cpu": Study(("experiment=cifar10_cpu_table1",), ranks=False, shared_out=True),
    "gtsrb_gpu": _gpu("gtsrb"),
    "cifar10_gpu": _gpu("cifar10"),
}


def planned(overrides: Sequence[str]) -> list[list[str]]:
    """The jobs of a sweep with these overrides, without starting it."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("train", [item for item in overrides if "(" not in item], return_hydra_config=True)

        def keys_of(loss: str) -> list[str]:
            return [str(key) for key in compose("train", [f"loss={loss}"]).loss]

        return expand(cfg.hydra.sweeper.params, cfg.sweep.only, overrides, cfg.hydra.runtime.choices.loss, keys_of)


def table(name: str, jobs: Sequence[Sequence[str]], folder: Path, kept: Path, workers: int) -> str:
    """How many runs of each loss, how many are there already, and how long the others will take by what runs took."""
    losses = Counter(override.removeprefix("loss=") for job in jobs for override in job if override.startswith("loss="))
    words = ", ".join(f"{count} {loss}" for loss, count in losses.items())
    left = sum(not (folder / job_name(job) / "result.json").is_file() for job in jobs)
    lines = [f"{name}: {len(jobs)} runs ({words}); {len(jobs) - left} finished, {left} to go."]
    seconds = [
        json.loads(path.read_text(encoding="utf-8"))["fit_seconds"]
        for where in (folder, kept)
        for path in where.glob("*/result.json")
    ]
    if not seconds:
        lines.append("How long a run takes here is not known yet; the progress line tells after the first one.")
    elif left:
        each = statistics.median(seconds)
        lines.append(f"A run took {span(each)} so far: about {span(each * left / workers)} with {workers} at a time.")
    return "\n".join(lines)
