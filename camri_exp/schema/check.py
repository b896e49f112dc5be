"""Every value of a composed config against the schema of its command, before anything heavy starts."""

import inspect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, cast, get_args

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from camri_exp.errors import UserError, first_line, nearest
from camri_exp.schema.keys import COMMANDS
from camri_exp.schema.plugins import check_arguments, target_of
from camri_exp.schema.types import Group, Open, Plugin, Plugins
from camri_exp.schema.values import expected, is_valid, text_of

MISSING = "???"
UNKNOWN = object()  # a value that is known when the run starts, such as its folder
TOTAL_STEPS = "total_steps"  # in a scheduler: stands for the number of steps of the run
NAMED = ("data", "loss")  # groups whose options have a name, which a message gives


@dataclass(frozen=True)
class Unresolved:
    """A value with an interpolation that fails, often because of a wrong value elsewhere that is reported first."""

    message: str


def check_values(values: dict[str, object], command: str, known: Collection[str] = (), complete: bool = True) -> None:
    """Check the keys and values of a config, but for the arguments of plug-ins. Nothing is imported for that.

    Args:
        values: the config as ``plain`` gives it.
        command: a key of ``keys.COMMANDS``.
        known: top-level keys of the command's config file; those without a schema are not checked.
        complete: whether a missing key is an error; the config of an earlier version may lack some.

    Raises:
        UserError: the first wrong key or value, on one line.
    """
    schema = COMMANDS[command]
    fields = fields_of(schema)
    for key in values:
        if key not in fields and key not in known:
            raise UserError(f"+{key}: {command} has no key {key}.{nearest(key, {*fields, *known})}")
    _check_group(values, schema, "", command, complete)


def check_plugins(values: dict[str, object], command: str) -> None:
    """Check the arguments of all plug-ins against the annotations of their constructors, which are imported.

    Raises:
        UserError: a target that cannot be imported, an argument that it does not have, or a value of another type.
    """
    for group, schema in fields_of(COMMANDS[command]).items():
        if isinstance(schema, type) and issubclass(schema, Plugin | Plugins) and values.get(group):
            _check_nested(values[group], group, fields_of(schema))


def _check_group(values: dict[str, object], schema: type, prefix: str, command: str, complete: bool) -> None:
    fields = fields_of(schema)
    for key, annotation in fields.items():
        name = prefix + key
        value = values.get(key, MISSING)
        if (key not in values and (hasattr(schema, key) or not complete)) or value is UNKNOWN:
            continue
        if value == MISSING:
            if name == "sweep":  # camri_exp.report explains it
                continue
            raise UserError(f"{name} is missing: expected {expected_of(annotation).removesuffix(' or null')}.")
        _check_value(value, annotation, name, command, complete)
    if prefix and not issubclass(schema, Open):
        for key in values:
            if key not in fields:
                raise UserError(f"{prefix}{key}: {command} has no such key.{nearest(key, fields)}")


def _check_value(value: object, annotation: object, name: str, command: str, complete: bool) -> None:
    if isinstance(value, Unresolved):
        raise UserError(value.message)
    group = group_of(annotation)
    if group is None:
        if not is_valid(value, annotation):
            raise UserError(f"{name}={text_of(value)}: expected {expected(annotation)}.")
        return
    if value is None and type(None) in get_args(annotation):
        return
    if value is None and issubclass(group, Plugins):
        raise UserError(f"{name}=null: expected an option: {name}=NAME, see --help.")
    if not isinstance(value, dict):
        raise UserError(f"{name}={text_of(value)}: expected {expected_of(annotation)}.")
    if issubclass(group, Plugins):
        for key, node in value.items():
            if node and not (isinstance(node, dict) and "_target_" in node):
                raise UserError(f"{name}.{key}={text_of(node)}: expected a mapping with _target_, or null.")
        return
    if issubclass(group, Plugin) and "_target_" not in value:
        raise UserError(f"{name} has no _target_, the class to build. Choose an option: {name}=NAME, see --help.")
    _check_group(value, group, f"{name}.", command, complete)


def expected_of(annotation: object) -> str:
    """What a key expects, in words, groups included."""
    group = group_of(annotation)
    if group is None:
        return expected(annotation)
    if issubclass(group, Plugin | Plugins):
        return "the name of an option, see --help"
    return f"a mapping of {', '.join(fields_of(group))}"


def fields_of(schema: type) -> dict[str, Any]:
    """The keys of a group and their annotations."""
    return inspect.get_annotations(schema)


def group_of(annotation: object) -> type | None:
    """The class of keys in ``annotation``, also in ``Group | None``; None where it is a value."""
    for item in (annotation, *get_args(annotation)):
        if isinstance(item, type) and issubclass(item, Group):
            return item
    return None


def _check_nested(node: object, key: str, skip: Collection[str] = ()) -> None:
    """Check ``node`` if it is a plug-in, and all plug-ins in it."""
    if isinstance(node, Unresolved):
        raise UserError(node.message)
    if isinstance(node, list):
        for index, item in enumerate(node):
            _check_nested(item, f"{key}.{index}")
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        target = target_of(node["_target_"], f"{key}={node['name']}" if "name" in node and key in NAMED else key)
        steps = [name for name, value in node.items() if value == TOTAL_STEPS and key == "scheduler"]
        unknown = [name for name, value in node.items() if isinstance(value, Unresolved) or value in (UNKNOWN, MISSING)]
        check_arguments(target, node, key, {*skip, *steps, *unknown})
    for name, value in node.items():
        _check_nested(value, f"{key}.{name}")


def plain(cfg: DictConfig, prefix: str = "") -> dict[str, Any]:
    """``cfg`` as plain values, resolved; ``UNKNOWN`` where a value depends on the folder of a run."""
    return {str(key): value for key, value in _items(cfg, prefix)}


def _items(node: DictConfig | ListConfig, prefix: str) -> Iterator[tuple[Any, Any]]:
    for key in node if isinstance(node, DictConfig) else range(len(node)):
        name = f"{prefix}.{key!s}" if prefix else str(key)
        yield key, _value(node, key, name)


def _value(node: DictConfig | ListConfig, key: Any, name: str) -> Any:
    if OmegaConf.is_missing(node, key):
        return MISSING
    try:
        value = node[key]
    except OmegaConfBaseException as error:
        # In the sweeper; the jobs, which have a folder, check it again.
        if "HydraConfig was not set" in str(error):
            return UNKNOWN
        raw: object = cast(Any, node)._get_node(key)._value()
        return Unresolved(f"{name}={text_of(raw)} cannot be resolved: {first_line(error)}")
    if isinstance(value, DictConfig):
        return plain(value, name)
    if isinstance(value, ListConfig):
        return [item for _, item in _items(value, name)]
    return value
