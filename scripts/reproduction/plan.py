"""The studies, the runs that each takes, and about how long."""

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir

from camri_exp.cli import CONFIGS
from camri_exp.identity import job_name
from camri_exp.sweeps.grid import expand
from camri_exp.sweeps.progress import span


@dataclass(frozen=True)
class Study:
    """The overrides of a sweep; ``ranking``: the seeds of cross-entropy that rank the classes beforehand, on test;
    ``shared_out``: the jobs go to several processes, where Ray does not do it."""

    overrides: tuple[str, ...]
    ranking: str | None = None
    shared_out: bool = True


PACKED = ("logger=none", "hydra/launcher=ray", "sweep.gpus_per_job=0.125")  # eight runs share a GPU


def _gpu(dataset: str) -> Study:
    recipe = (f"experiment={dataset}_table1", f"experiment@_global_={dataset}_gpu")
    return Study((*recipe, *PACKED), "range(10,15)", shared_out=False)


def _paper(dataset: str, important_class: str) -> Study:
    """The paper's very settings, 300 epochs, once."""
    chosen = (f"experiment={dataset}_paper", "loss=ce,l2_softmax,camri", f"important_class={important_class}", "seed=0")
    return Study((*chosen, *PACKED), shared_out=False)


STUDIES = {
    "digits_cpu": Study(("experiment=digits_quick",)),
    "gtsrb_cpu": Study(("experiment=gtsrb_cpu_table1",), "range(5,10)"),
    "cifar10_cpu": Study(("experiment=cifar10_cpu_table1",)),
    "gtsrb_gpu": _gpu("gtsrb"),
    "cifar10_gpu": _gpu("cifar10"),
    "cifar10_paper": _paper("cifar10", "cat"),
}


def planned(overrides: Sequence[str], sweep: Path) -> dict[Path, list[str]]:
    """The jobs of a sweep with these overrides, by their folders below ``sweep``, without starting it."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        # what is swept is no value of a config
        cfg = compose("train", [item for item in overrides if not set("(,") & set(item)], return_hydra_config=True)

        def keys_of(loss: str) -> list[str]:
            return [str(key) for key in compose("train", [f"loss={loss}"]).loss]

        jobs = expand(
            cfg.hydra.sweeper.params or {}, cfg.sweep.only, overrides, cfg.hydra.runtime.choices.loss, keys_of
        )
        return {sweep / job_name(job): job for job in jobs}


def table(name: str, jobs: Mapping[Path, Sequence[str]], kept: Path, workers: int) -> str:
    """How many runs of each loss, how many are there already, and how long the others will take by what runs took.

    ``jobs``: the overrides of each run, by the folder that it will have.
    """
    losses = Counter(item.removeprefix("loss=") for job in jobs.values() for item in job if item.startswith("loss="))
    words = ", ".join(f"{count} {loss}" for loss, count in losses.items())
    finished = [folder / "result.json" for folder in jobs if (folder / "result.json").is_file()]
    left = len(jobs) - len(finished)
    lines = [f"{name}: {len(jobs)} runs ({words}); {len(finished)} finished, {left} to go."]
    known = finished or list(kept.glob("*/result.json"))
    seconds = [json.loads(path.read_text(encoding="utf-8"))["fit_seconds"] for path in known]
    if not seconds:
        lines.append("How long a run takes here is not known yet; the progress line tells after the first one.")
    elif left:
        each = statistics.median(seconds)
        lines.append(f"A run took {span(each)} so far: about {span(each * left / workers)} with {workers} at a time.")
    return "\n".join(lines)
