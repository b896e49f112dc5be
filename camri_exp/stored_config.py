"""The config of a run as data: read from its folder, judged, and never run as code.

Resume, evaluate, predict and export all load a run's config here. Its file may come from anywhere.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from camri_exp.cli import CONFIGS, register_resolvers
from camri_exp.errors import UserError, first_line

CONFIG = "config.yaml"
LARGEST, DEEPEST = 1 << 20, 40  # bytes, and levels of nesting
TO_PREDICT = ("data", "head", "loss")
GROUPS = ("data", "model", "head", "loss", "optimizer", "scheduler", "trainer", "callbacks", "logger")
REQUIRED = {"data", "model", "head", "loss", "trainer"}
# Where the targets of earlier versions are now, so that their runs can be evaluated and resumed.
MOVED_TARGETS = {
    "camri_exp.heads.": "camri_exp.models.heads.",
    "camri_exp.callbacks.": "camri_exp.training.callbacks.",
    "torch.optim.lr_scheduler.OneCycleLR": "camri_exp.training.schedules.one_cycle",
}


def load_run_config(
    run: Path,
    groups: Collection[str] = TO_PREDICT,
    trusted: Mapping[str, Collection[str]] | Collection[str] = (),
) -> DictConfig:
    """The ``config.yaml`` of the folder of a run.

    A ``_target_`` must be one of this package's own options for its group, or one that the user has named: nothing is
    imported to judge it. Stored paths for caches are dropped, because nothing may be written where a file from
    elsewhere says.

    Args:
        run: the folder.
        groups: the groups from which objects will be built; the targets of others are not judged.
        trusted: further targets, for all groups or per group.

    Raises:
        UserError: no such file, one that is too large or damaged, or one that holds interpolations, YAML aliases or a
            target that is not allowed.
    """
    path = run / CONFIG
    plain = _with_current_targets(_read(path))
    if not isinstance(plain, dict) or not all(isinstance(plain.get(group), dict) for group in REQUIRED):
        raise UserError(f"{path} is not the config of a run. Give a run that camri_exp.train wrote.")
    for group in groups:
        for target in _targets(plain.get(group)):
            further = trusted.get(group, ()) if isinstance(trusted, Mapping) else trusted
            if str(target) not in {*own_targets(group), *further}:
                name = str(target)[:80]
                raise UserError(
                    f"{path} was refused: {group}._target_={name} is not an option of camri_exp and would be run as "
                    f"code.\nIf you trust it, name it on the command line: trust={name}"
                )
    if "cache_dir" in plain["data"]:
        plain["data"]["cache_dir"] = None
    register_resolvers()
    return OmegaConf.create(plain)


def _read(path: Path) -> Any:
    """Plain values. Aliases could expand without limit, and interpolations could read the environment."""
    try:
        if not path.is_file():
            raise UserError(f"{path}: there is no such file. Keep the files of a run together.")
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} was refused: it is larger than 1 MiB, which no config of a run is.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}.") from error
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                raise UserError(f"{path} was refused: it has YAML aliases or is nested too deeply.")
        if "${" in text:
            raise UserError(f"{path} was refused: it holds an interpolation (${{...}}). A run's config is resolved.")
        return OmegaConf.to_container(OmegaConf.create(text))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError, AssertionError) as error:
        raise UserError(f"{path} is damaged: {first_line(error)}.") from error


@lru_cache
def own_targets(group: str) -> frozenset[str]:
    """The targets of this package's options of a config group."""
    texts = (path.read_text(encoding="utf-8") for path in (CONFIGS / group).glob("*.yaml"))
    return frozenset(target for text in texts for target in re.findall(r"^\s*_target_: *([\w.]+)", text, re.MULTILINE))


def _targets(node: object) -> Iterator[Any]:
    """Every ``_target_`` in a config."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _targets(value)


def trusted_names(trust: str | Sequence[object] | None) -> list[str]:
    """The classes of ``trust=a.B,c.D`` or ``trust=[a.B,c.D]``."""
    return [name for item in ([trust] if isinstance(trust, str) else trust or []) for name in str(item).split(",")]


def named_targets(cfg: DictConfig) -> dict[str, set[str]]:
    """The targets that a command line names, per group: those of its composed config, and those of ``trust``."""
    plain = OmegaConf.to_container(cfg)
    assert isinstance(plain, dict)
    trusted = trusted_names(cfg.get("trust"))
    return {group: {*map(str, _targets(plain.get(group))), *trusted} for group in GROUPS}


def _with_current_targets(node: object) -> Any:
    """``node`` with the ``_target_`` of earlier versions replaced by where they are now."""
    if isinstance(node, list):
        return [_with_current_targets(item) for item in node]
    if not isinstance(node, dict):
        return node
    current = {key: _with_current_targets(value) for key, value in node.items()}
    for before, now in MOVED_TARGETS.items():
        if str(current.get("_target_", "")).startswith(before):
            current["_target_"] = now + current["_target_"].removeprefix(before)
    return current
