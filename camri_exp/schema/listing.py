"""The list of all keys: what each expects, its default, and the comment of ``configs/`` that says what it means."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from camri_exp.schema.check import expected_of, fields_of, group_of
from camri_exp.schema.keys import COMMANDS
from camri_exp.schema.plugins import NOT_ARGUMENTS, parameters_of, target_of
from camri_exp.schema.types import Plugin, Plugins
from camri_exp.schema.values import expected, text_of

LINE = re.compile(r"( *)([\w.@/]+):(.*)")
COMMENT = re.compile(r"\s#\s+(.*)")
# The file that has every key of a group, for the groups that are no plug-ins alone.
COMPLETE = {"model": "model/timm.yaml", "trainer": "trainer/default.yaml"}
ADDED = "(add with +)"


@dataclass(frozen=True)
class Key:
    """A key as the user types it. ``default`` is its text in the config, or ``ADDED``."""

    name: str
    default: str
    expected: str
    meaning: str


def keys_of(command: str, configs: Path) -> list[Key]:
    """The keys of ``configs/<command>.yaml``, without those of plug-ins, which depend on the option."""
    return list(_keys(COMMANDS[command], configs / f"{command}.yaml", configs, "", ""))


def _keys(schema: type, path: Path, configs: Path, prefix: str, inside: str) -> Iterator[Key]:
    lines = commented_keys(path)
    for name, annotation in fields_of(schema).items():
        group, key = group_of(annotation), prefix + name
        if group is not None and issubclass(group, Plugin | Plugins) and name not in COMPLETE:
            continue
        if group is not None:
            complete = COMPLETE.get(name)
            yield from _keys(
                group, configs / complete if complete else path, configs, f"{key}.", "" if complete else f"{name}."
            )
            continue
        default, meaning = lines.get(inside + name, (ADDED, ""))
        yield Key(key, default, expected_of(annotation), meaning)


def commented_keys(path: Path) -> dict[str, tuple[str, str]]:
    """The keys of a YAML file, nested ones with dots: the text of the value, and the comment behind it."""
    keys: dict[str, tuple[str, str]] = {}
    parents: list[tuple[int, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not (match := LINE.fullmatch(line)):
            continue
        depth, name, rest = len(match[1]), match[2], match[3]
        parents = [(indent, parent) for indent, parent in parents if indent < depth]
        comment = COMMENT.search(rest)
        value = rest[: comment.start()] if comment else rest
        keys[".".join([*(parent for _, parent in parents), name])] = value.strip(), comment[1] if comment else ""
        parents.append((depth, name))
    return keys


def as_text(command: str, configs: Path) -> str:
    """The keys for ``--help``, a line per key."""
    return "\n".join(
        f"  {key.name + '=' + key.default:<34} {key.expected}{': ' + key.meaning if key.meaning else ''}"
        if key.default != ADDED
        else f"  +{key.name:<33} {key.expected}"
        for key in keys_of(command, configs)
    )


def plugin_keys(path: Path) -> list[Key]:
    """The keys of an option that is a plug-in, or of the plug-ins in it, ``configs/<group>/<option>.yaml``."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    group, lines = path.parent.name, commented_keys(path)
    nodes = {"": content} if "_target_" in content else {f"{name}.": node for name, node in content.items()}
    keys = []
    for prefix, node in nodes.items():
        if not isinstance(node, dict) or "_target_" not in node:
            continue
        target = target_of(node["_target_"], group)
        parameters, meanings = parameters_of(target)[0], documented_arguments(target)
        for name in node:
            if name in NOT_ARGUMENTS:
                continue
            parameter = parameters.get(name)
            default, comment = lines.get(f"{prefix}{name}", ("", ""))
            words = "any value" if parameter is None or parameter.annotation is None else expected(parameter.annotation)
            keys.append(
                Key(f"{group}.{prefix}{name}", default or text_of(node[name]), words, comment or meanings.get(name, ""))
            )
    return keys


def documented_arguments(target: object) -> dict[str, str]:
    """The arguments that the docstrings of a class and its bases describe under ``Args:``, in Google's style."""
    meanings: dict[str, str] = {}
    for kind in inspect.getmro(target) if inspect.isclass(target) else (target,):
        section = re.search(r"\n\s*Args:\n(.*?)(?:\n\s*\n|\n\s*Raises:|\Z)", f"{inspect.getdoc(kind)}", re.DOTALL)
        for name, text in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE):
            meanings.setdefault(name, " ".join(text.split()))
    return meanings


def as_markdown(configs: Path) -> str:
    """``docs/configuration.md``."""
    programs = {command: "data.show" if command == "show" else command for command in COMMANDS}
    parts = [HEADER]
    for command, program in programs.items():
        parts.append(f"## `python -m camri_exp.{program}`\n\n{_table(keys_of(command, configs))}")
    parts.append(f"## Plug-ins\n\n{PLUGINS}")
    for group in ("data", "loss", "head", "optimizer", "scheduler", "callbacks", "logger"):
        for path in sorted((configs / group).glob("*.yaml")):
            if keys := plugin_keys(path):
                parts.append(f"### `{group}={path.stem}`\n\n{_table(keys)}")
    return "\n\n".join(parts) + "\n"


def _table(keys: list[Key]) -> str:
    def cell(text: str) -> str:
        return text.replace("|", "\\|")

    rows = []
    for key in keys:
        default = f"`{cell(key.default)}`" if key.default else ""
        rows.append(f"| `{key.name}` | {cell(key.expected)} | {default} | {cell(key.meaning)} |")
    return "\n".join(["| key | expected | default | meaning |", "| --- | --- | --- | --- |", *rows])


HEADER = """# Configuration

Made by `python scripts/list_keys.py` from the schema of the commands, the constructors of the plug-ins, and the
comments in `configs/`. A value is checked before anything is loaded: a wrong one ends the command with exit code 1 and
one line, such as `error: data.batch_size=1.5: expected a whole number from 1 to 1000000.`

Numbers are finite. A whole number is not accepted as text, nor `true` as a number. Keys of
`pytorch_lightning.Trainer` that are not listed can be added with a plus, as `+trainer.strategy=ddp`; they are checked
by the annotations of its constructor."""
PLUGINS = """An option of these groups is a class (`_target_`) and the arguments of its constructor. What is expected
follows from the annotations of the constructor, so a new loss is one .py and one .yaml. Any other argument of the
constructor can be added with a plus, as `+optimizer.amsgrad=true`."""
