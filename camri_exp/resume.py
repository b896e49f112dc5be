"""Going on with an interrupted run: its own config, and nothing that would make it another run."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from camri_exp.errors import UserError
from camri_exp.results import NOT_HASHED, read_result

MISSING = "(absent)"


def resumed_config(cfg: DictConfig, run_dir: Path) -> DictConfig:
    """The config to go on with: the run's own, plus what this command line says under ``trainer`` and ``logger``.

    Raises:
        UserError: no run there, or a command line that describes another run.
    """
    stored_path = run_dir / "config.yaml"
    if not stored_path.is_file():
        raise UserError(f"resume={cfg.resume}: there is no run to resume (no config.yaml). Give the folder of a run.")
    stored = OmegaConf.load(stored_path)
    assert isinstance(stored, DictConfig)
    given = [item for item in HydraConfig.get().overrides.task if not item.startswith("resume=")]
    if given:  # the user repeated the command: it must be the same run
        composed = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))
        changed = _changes(_flat(stored), _flat(composed))
        if changed:
            key, before, now = changed[0]
            raise UserError(
                f"resume={cfg.resume}: that run has {key}={before}, this command says {now}. "
                "Repeat the run's own overrides, or give resume=DIR alone; only trainer and logger may change."
            )
        stored.trainer, stored.logger = composed.trainer, composed.logger
    stored.resume = cfg.resume
    return stored


def finished_result(cfg: DictConfig, run_dir: Path) -> dict[str, Any] | None:
    """The result of a run that has nothing left to do, else None."""
    if not (run_dir / "result.json").is_file():
        return None
    result = read_result(run_dir)
    return result if result["epochs"] >= cfg.trainer.max_epochs else None


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
    free = ("trainer", *NOT_HASHED)
    keys = [key for key in {**before, **now} if key.split(".")[0] not in free]
    pairs = [(key, before.get(key, MISSING), now.get(key, MISSING)) for key in keys]
    return [pair for pair in pairs if pair[1] != pair[2]]
