"""Resuming an interrupted run: with its own config, and nothing that would make it another run."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from camri_exp.errors import UserError
from camri_exp.identity import NOT_HASHED, with_run_dir
from camri_exp.results import RESULT, RunResult
from camri_exp.schema.check import check_plugins, check_values, plain
from camri_exp.stored_config import CONFIG, GROUPS, load_run_config, named_targets

MISSING = "(absent)"
LIMITS = ("max_epochs", "max_steps", "max_time")
# What may change without making it another run: how it is trained further, where it is logged, and where its data is.
FREE = ("trainer", "logger", "data.root", "data.cache_dir", "data.cache", "data.workers")


def resumed_config(cfg: DictConfig, run_dir: Path) -> DictConfig:
    """The config to resume with: the run's own, with the values of this command line for what is ``FREE``.

    Raises:
        UserError: no run there, or a command line that describes another run.
    """
    if not (run_dir / CONFIG).is_file():
        raise UserError(f"resume={cfg.resume}: there is no run to resume (no config.yaml). Give the folder of a run.")
    stored = with_run_dir(load_run_config(run_dir, GROUPS, named_targets(cfg)), str(run_dir))
    given = [item.lstrip("+~").partition("=")[0] for item in HydraConfig.get().overrides.task]
    given = [key for key in given if key not in ("resume", "trust")]
    composed = OmegaConf.create(OmegaConf.to_container(with_run_dir(cfg, str(run_dir)), resolve=True))
    assert isinstance(composed, DictConfig)
    if not all(_free(key) for key in given):  # the user repeated the command: it must be the same run
        before, now = _flat(stored), _flat(composed)
        for key in {**before, **now}:
            old, new = before.get(key, MISSING), now.get(key, MISSING)
            if old != new and not _free(key) and key.split(".")[0] not in NOT_HASHED:
                raise UserError(
                    f"resume={cfg.resume}: that run has {key}={old}, this command says {new}. "
                    f"Repeat the run's own overrides, or leave them out; only {', '.join(FREE)} may change."
                )
        given = [key for key in FREE if not key.startswith("data.") or key.removeprefix("data.") in composed.data]
    for key in given:
        OmegaConf.update(stored, key, OmegaConf.select(composed, key), merge=False, force_add=True)
    stored.resume = cfg.resume
    values = plain(stored)
    check_values(values, "train", known=set(values), complete=False)
    check_plugins(values, "train")
    return stored


def finished_result(cfg: DictConfig, run_dir: Path) -> RunResult | None:
    """The result of a run that has nothing left to do, else None.

    A run with unchanged limits is finished even if it ended before ``max_epochs``, as early stopping does.
    """
    if not (run_dir / RESULT).is_file():
        return None
    result, before = RunResult.of(run_dir), load_run_config(run_dir, ()).trainer
    same_limits = all(before.get(key) == cfg.trainer.get(key) for key in LIMITS)
    most = cfg.trainer.max_epochs
    return result if same_limits or (most is not None and result.epochs >= most) else None


def _free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _flat(cfg: DictConfig) -> dict[str, object]:
    values: dict[str, object] = {}

    def walk(prefix: str, node: object) -> None:
        if isinstance(node, dict) and node:
            for key, value in node.items():
                walk(f"{prefix}.{key}" if prefix else str(key), value)
        else:
            values[prefix] = node

    walk("", OmegaConf.to_container(cfg, resolve=True))
    return values
