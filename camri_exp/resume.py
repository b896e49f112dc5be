"""Going on with an interrupted run: its own config, and nothing that would make it another run."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from camri_exp.errors import UserError
from camri_exp.results import NOT_HASHED, read_result

MISSING = "(absent)"
LIMITS = ("max_epochs", "max_steps", "max_time")
# What may change without making it another run: how it is trained further, who is told, and where its data lie.
FREE = ("trainer", "logger", "data.root")


def resumed_config(cfg: DictConfig, run_dir: Path) -> DictConfig:
    """The config to go on with: the run's own, with what this command line says of what is ``FREE``.

    Raises:
        UserError: no run there, or a command line that describes another run.
    """
    stored_path = run_dir / "config.yaml"
    if not stored_path.is_file():
        raise UserError(f"resume={cfg.resume}: there is no run to resume (no config.yaml). Give the folder of a run.")
    stored = OmegaConf.load(stored_path)
    assert isinstance(stored, DictConfig)
    given = [item.lstrip("+~").partition("=")[0] for item in HydraConfig.get().overrides.task]
    given = [key for key in given if key != "resume"]
    composed = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))
    if not all(_free(key) for key in given):  # the user repeated the command: it must be the same run
        changed = _changes(_flat(stored), _flat(composed))
        if changed:
            key, before, now = changed[0]
            raise UserError(
                f"resume={cfg.resume}: that run has {key}={before}, this command says {now}. "
                f"Repeat the run's own overrides, or leave them out; only {', '.join(FREE)} may change."
            )
        given = [key for key in FREE if key != "data.root" or "root" in composed.data]
    for key in given:
        OmegaConf.update(stored, key, OmegaConf.select(composed, key), merge=False, force_add=True)
    stored.resume = cfg.resume
    return stored


def finished_result(cfg: DictConfig, run_dir: Path) -> dict[str, Any] | None:
    """The result of a run that has nothing left to do, else None. It may have ended before ``max_epochs``, as told."""
    if not (run_dir / "result.json").is_file():
        return None
    result, before = read_result(run_dir), OmegaConf.load(run_dir / "config.yaml").trainer
    same_limits = all(before.get(key) == cfg.trainer.get(key) for key in LIMITS)
    most = cfg.trainer.max_epochs
    return result if same_limits or (most is not None and result["epochs"] >= most) else None


def _free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _flat(cfg: Any) -> dict[str, Any]:
    plain = OmegaConf.to_container(cfg, resolve=True)
    found: dict[str, Any] = {}

    def walk(prefix: str, node: Any) -> None:
        if isinstance(node, dict) and node:
            for key, value in node.items():
                walk(f"{prefix}.{key}" if prefix else str(key), value)
        else:
            found[prefix] = node

    walk("", plain)
    return found


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    keys = [key for key in {**before, **now} if not _free(key) and key.split(".")[0] not in NOT_HASHED]
    pairs = [(key, before.get(key, MISSING), now.get(key, MISSING)) for key in keys]
    return [pair for pair in pairs if pair[1] != pair[2]]
