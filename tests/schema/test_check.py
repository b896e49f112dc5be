"""Generated: each key of each command and each option of a plug-in with values of every kind.

A value is refused in one line, or it is one that the key's documentation allows.
"""

import math
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from camri_exp.cli import CONFIGS, check_config
from camri_exp.errors import UserError
from camri_exp.schema.check import check_plugins, check_values, plain
from camri_exp.schema.keys import COMMANDS
from camri_exp.schema.values import text_of
from tests.conftest import TESTS, Command
from tests.helpers import configs

WRONG: dict[str, Any] = {
    "text": "abc", "number": 3, "float": 1.5, "list": ["a", 2], "mapping": {"a": 1}, "bool": True, "nan": math.nan,
    "inf": math.inf, "-inf": -math.inf, "negative": -7, "huge": 10**12, "null": None,
}  # fmt: skip
GROUPS = ("data", "loss", "head", "optimizer", "scheduler", "callbacks", "logger")
OPTIONS = [
    f"{group}={path.stem}" for group in GROUPS for path in sorted((CONFIGS / group).glob("*.yaml"))
]  # fmt: skip
# Where any scalar may be meant: a class or a folder can be called so.
NAMES = ("important_class", "class_name", "root", "resume", "ranking_sweep", "sweep.name", "weights")


@cache
def composed(command: str, *overrides: str) -> DictConfig:
    cfg = configs.composed(command, *overrides)
    if "data" in cfg and OmegaConf.is_missing(cfg.data, "root"):
        cfg.data.root = "somewhere"
    return cfg


def leaves(node: Any, prefix: str = "") -> Iterator[str]:
    """The keys of a config whose values are no groups, and the groups themselves."""
    for key in node:
        name = f"{prefix}{key}"
        yield name
        if isinstance(node._get_node(key), DictConfig) and not OmegaConf.is_interpolation(node, key):
            yield from leaves(node[key] or {}, f"{name}.")


def cases() -> list[tuple[str, tuple[str, ...], str]]:
    found = [(command, (), key) for command in COMMANDS for key in leaves(composed(command))]
    for option in OPTIONS:
        group = option.partition("=")[0]
        node = composed("train", option).get(group) or {}
        found += [("train", (option,), f"{group}.{key}") for key in leaves(node)]
    return [case for case in found if "_target_" not in case[2]]


CASES = cases()


@cache
def plain_config(command: str, *overrides: str) -> dict[str, Any]:
    return plain(composed(command, *overrides))


def outcome(command: str, overrides: tuple[str, ...], key: str, value: Any) -> str | None:
    """The error for a value, None where it is accepted."""
    values = with_value(plain_config(command, *overrides), key.split("."), value)
    try:
        check_values(values, command)
        check_plugins(values, command)
    except UserError as error:
        return str(error)
    return None


def with_value(node: dict[str, Any], keys: list[str], value: Any) -> dict[str, Any]:
    first, *rest = keys
    return {**node, first: with_value(node[first], rest, value) if rest else value}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_values_of_the_configs_are_accepted(command: str) -> None:
    needed = ["sweep=somewhere"] if command == "report" else []
    check_config(composed(command, *needed), command)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_option_is_accepted(path: Path) -> None:
    override = f"{path.parent.name}={path.stem}"
    check_config(composed("train", override, *(["model.name=resnet18"] if override == "model=timm" else [])), "train")


def test_every_key_refuses_wrong_values_in_one_line() -> None:
    count = refused = 0
    accepted = []
    for command, overrides, key in CASES:
        for kind, value in WRONG.items():
            error = outcome(command, overrides, key, value)
            count += 1
            refused += error is not None
            if error is None:
                accepted.append((command, *overrides, key, kind))
                continue
            assert len(error.splitlines()) == 1, error
            assert len(error) < 400, error
            assert "Traceback" not in error
    print(f"{count} values of {len(CASES)} keys: {refused} refused, {len(accepted)} accepted")
    assert count > 500
    never = [case for case in accepted if case[-1] in ("nan", "inf", "-inf") and not case[-2].endswith(NAMES)]
    assert [case for case in never if case[-2].split(".")[-1] not in FREE] == []


# An argument that a function passes on in its **options.
FREE = ("cycle_momentum",)


def documented_commands() -> list[tuple[str, list[str]]]:
    """The single runs in the comments of the configs and in the documentation: command and overrides."""
    pages = [
        *CONFIGS.glob("*.yaml"),
        *CONFIGS.glob("*/*.yaml"),
        *TESTS.parent.glob("docs/*.md"),
        TESTS.parent / "README.md",
    ]
    found = []
    for line in {line.strip() for page in pages for line in page.read_text(encoding="utf-8").splitlines()}:
        match = re.search(r"python -m camri_exp\.(data\.)?(\w+) (?!.*(-m |\[|\\|…))(.*=.*)", line)
        if match and match[2] in COMMANDS:
            found.append((match[2], re.findall(r"(?<!\S)[\w.@/]+=[^\s`'\",()|]+(?!\S)", match[4])))
    return sorted(found)


@pytest.mark.slow
def test_the_documented_commands_are_accepted() -> None:
    commands = documented_commands()
    assert len(commands) > 20
    for command, overrides in commands:
        sweep = ["sweep=somewhere"] if command == "report" and not overrides else []
        check_config(composed(command, *overrides, *sweep), command)


@pytest.mark.slow
def is_group(cfg: DictConfig, key: str) -> bool:
    """Whether ``key`` holds further keys; a value may be an interpolation that only a run can resolve."""
    return isinstance(OmegaConf.select(cfg, key, throw_on_resolution_failure=False), DictConfig)


def test_a_sample_ends_the_real_command_in_one_line(command: Command) -> None:
    refused = [
        (name, overrides, key, kind)
        for name, overrides, key in CASES
        for kind, value in WRONG.items()
        if kind != "mapping"
        and outcome(name, overrides, key, value)
        and "." in key
        # Hydra itself refuses a list in place of a group.
        and not (kind == "list" and is_group(composed(name, *overrides), key))
    ]
    for name, overrides, key, kind in random.Random(0).sample(refused, 60):
        module = "data.show" if name == "show" else name
        given = f"{key}={text_of(WRONG[kind])}"
        if name == "train":
            overrides = (*overrides, "hydra.run.dir=run", *([] if "logger" in key else ["logger=none"]))
        finished = command(module, *overrides, given)
        assert finished.code == 1, given
        assert "Traceback" not in finished.err, given
        assert 1 <= len(finished.err.strip().splitlines()) <= 2, finished.err
