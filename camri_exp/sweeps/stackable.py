"""Which jobs of a sweep can be trained as one program, and why the others cannot."""

import hashlib
import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from camri_exp.cli import CONFIGS
from camri_exp.errors import UserError
from camri_exp.identity import hash_of_plain, set_run_dir
from camri_exp.instantiate import partial_of
from camri_exp.models.fine_tuning import FineTuning
from camri_exp.reporting.ranking import resolve_ranks
from camri_exp.results import SplitMetrics
from camri_exp.sweeps.job import can_resume, finished, read_record
from camri_exp.training.elementwise import is_elementwise

# What may differ from the defaults in a stack: keys that the training loop of a stack uses, or that change no number.
FREE = (
    "max_epochs", "accelerator", "log_every_n_steps", "enable_progress_bar", "enable_model_summary", "benchmark",
    "deterministic", "num_sanity_val_steps", "keep_freed_memory", "use_distributed_sampler",
)  # fmt: skip
MONITORS = {"train/loss", *(f"val/{name}" for name in SplitMetrics.LOGGED)}
OF_ONE_RUN = ("start", "partial_auc", "held_out")  # keys of losses that change during training, or have a further term
SHARED = ("data", "model", "head", "trainer", "callbacks", "test_checkpoint")  # equal in all jobs of a stack


@dataclass(frozen=True, eq=False)
class PlannedJob:
    """A job before it starts.

    Attributes:
        number: its position in the sweep.
        hydra: its composed config with Hydra's own part; ``HydraConfig`` holds it while the job is treated.
        given: its config as composed, whose interpolations tell what depends on the seed and on the class.
        cfg: its config, resolved.
        folder: its folder.
    """

    number: int
    hydra: DictConfig
    given: DictConfig
    cfg: DictConfig
    folder: Path

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The config as plain values, without the folder of the run."""
        values = OmegaConf.to_container(self.cfg, resolve=True)
        assert isinstance(values, dict)
        plain = {str(key): value for key, value in values.items()}
        set_run_dir(plain, "")
        return plain

    @cached_property
    def digest(self) -> str:
        """The hash of its config."""
        return hash_of_plain(self.plain)

    @property
    def shape(self) -> str:
        """Equal for jobs that share features and the shape of what is trained."""
        shared = {key: self.plain[key] for key in SHARED}
        return hashlib.sha256(json.dumps(shared, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def use(self) -> None:
        """Let Hydra's config be that of the job."""
        HydraConfig.instance().cfg = cast(Any, self.hydra)

    @property
    def is_done(self) -> bool:
        return finished(self.folder, self.digest) is not None


def planned(number: int, composed: DictConfig) -> PlannedJob:
    """The job of a composed config, in the folder that Hydra would give it; Hydra's config is then that of the job."""
    HydraConfig.instance().set_config(composed)
    hydra = HydraConfig.instance().cfg
    assert isinstance(hydra, DictConfig)
    folder = Path(str(composed.hydra.sweep.dir), str(composed.hydra.sweep.subdir)).absolute()
    for runtime in (composed.hydra.runtime, hydra.hydra.runtime):
        with read_write(runtime), open_dict(runtime):
            runtime.output_dir = str(folder)
    given = pickle.loads(pickle.dumps(composed))  # with what is resolved once for all jobs, as the start of the sweep
    with read_write(given), open_dict(given):
        del given["hydra"]
    resolve_ranks(given)
    given.trainer.enable_progress_bar = False
    cfg = pickle.loads(pickle.dumps(given))
    OmegaConf.resolve(cfg)
    job = PlannedJob(number, hydra, given, cfg, folder)
    assert job.digest  # of the config before the job starts
    return job


def obstacle(job: PlannedJob) -> str | None:
    """Why the config of a job cannot be part of a stack, or None."""
    if not job.cfg.model.frozen:
        return "model.frozen=false"
    if not job.is_done and can_resume(job.folder, job.digest, read_record(job.folder)):
        return "a run of its own that was interrupted"
    if FineTuning.of(job.cfg.model) != FineTuning():
        return "options of model for fine-tuning"
    if changing := [key for key in OF_ONE_RUN if job.cfg.loss.get(key) is not None]:
        return f"loss.{changing[0]}"
    if job.cfg.loss.get("decoder", "argmax") != "argmax":
        return f"loss.decoder={job.cfg.loss.decoder}"
    if not _has_elementwise_optimizer(json.dumps(job.plain["optimizer"])):
        return f"optimizer._target_={job.cfg.optimizer.get('_target_')}, which mixes the elements of a parameter"
    return _differs(job.plain["trainer"], "trainer", FREE) or _callbacks(job.plain["callbacks"])


@lru_cache
def _has_elementwise_optimizer(node: str) -> bool:
    """Whether the optimizer of a config, as JSON, treats each element alone; an error of it is left to the job."""
    try:
        return is_elementwise(partial_of(OmegaConf.create(json.loads(node)), "optimizer"))
    except UserError:
        return True


def _callbacks(callbacks: Mapping[str, Any]) -> str | None:
    """The first callback that a stack does not have, or does not do as configured."""
    default = _default("callbacks")
    given = {name: node for name, node in callbacks.items() if node}
    monitor = str(given.get("best", {}).get("monitor"))
    if not (monitor in MONITORS or monitor.startswith("val/recall/")):
        return f"callbacks.best.monitor={monitor}"
    if more := set(given) ^ set(default):
        return f"callbacks.{min(more)}"
    for name, node in given.items():
        for key, value in node.items():
            paths = key in ("dirpath", "run_dir") or (name == "best" and key in ("monitor", "mode"))
            if not paths and value != default[name].get(key):
                return f"callbacks.{name}.{key}={value}"
    return None


def _differs(node: Mapping[str, Any], group: str, free: Sequence[str]) -> str | None:
    """The first key of ``node`` that has another value than by default in its group."""
    for key, value in node.items():
        if key not in free and value != _default(group).get(key):
            return f"{group}.{key}={value}"
    return None


@cache
def _default(group: str) -> dict[str, Any]:
    values = OmegaConf.to_container(OmegaConf.load(CONFIGS / group / "default.yaml"), resolve=False)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
