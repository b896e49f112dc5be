"""The schema of a plug-in: the annotations of its constructor, so that a new loss is one .py and one .yaml."""

import enum
import inspect
import os
import pkgutil
import types
from collections import abc
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, NewType, Union, cast, get_args, get_origin

from camri_exp.errors import UserError, first_line, nearest
from camri_exp.schema.values import Words, expected, is_valid, text_of

# Keys of a config node that are metadata of the run or of Hydra, not arguments.
METADATA = ("name", "important_class")
HYDRAS_OWN = {"_partial_": bool, "_recursive_": bool, "_convert_": str}
NOT_ARGUMENTS = ("_target_", "_args_", *HYDRAS_OWN, *METADATA)
# Arguments that the program fills in where the config has null, in addition to those in a loss's ``needs``.
FILLED_IN = {"seed", "in_features", "num_classes", "callbacks", "logger", "default_root_dir", "profiler"}
PATH = Annotated[str, Words("a path")]
LISTS = (list, tuple, set, frozenset, abc.Sequence, abc.MutableSequence, abc.Iterable, abc.Collection, abc.Set)
MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a constructor; ``annotation`` is None where it cannot be checked against a config."""

    annotation: object
    default: object


def target_of(target: object, where: str) -> Callable[..., Any]:
    """The class or function that ``target``, the value of a ``_target_`` in the config node ``where``, names.

    Raises:
        UserError: it cannot be imported.
    """
    try:
        imported = pkgutil.resolve_name(target) if isinstance(target, str) else None
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{where}: _target_={text_of(target)} cannot be imported: {first_line(error)}") from error
    if not callable(imported):
        raise UserError(f"{where}: _target_={text_of(target)}: expected the full name of a class or a function.")
    return cast(Callable[..., Any], imported)


def check_arguments(
    target: Callable[..., Any], settings: Mapping[str, Any], key: str, skip: Collection[str] = ()
) -> None:
    """Check the arguments in ``settings``, the content of the config node ``key``, against those of ``target``.

    Args:
        target: the class or function in ``settings._target_``.
        settings: plain values.
        key: of the node, as the user types it.
        skip: arguments that are checked elsewhere.

    Raises:
        UserError: an argument that the constructor does not have, or a value of another type.
    """
    parameters, is_open = parameters_of(target)
    filled_in = FILLED_IN | set(getattr(target, "needs", ()))
    for name, value in settings.items():
        if name in HYDRAS_OWN and not is_valid(value, HYDRAS_OWN[name]):
            raise UserError(f"{key}.{name}={text_of(value)}: expected {expected(HYDRAS_OWN[name])}.")
        if name in NOT_ARGUMENTS or name in skip:
            continue
        if name not in parameters:
            if is_open:
                continue
            known = [parameter for parameter in parameters if parameter not in filled_in]
            raise UserError(f"{key}.{name}: {_name(target)} has no such argument.{nearest(str(name), known)}")
        if not (_fits(value, parameters[name]) or (value is None and name in filled_in)):
            words = expected(parameters[name].annotation)
            raise UserError(f"{key}.{name}={text_of(value)}: expected {words}.")


def _fits(value: object, parameter: Parameter) -> bool:
    if parameter.annotation is None or _builds_objects(value):
        return True
    same = type(value) is type(parameter.default) and value == parameter.default  # such as None, infinity
    return same or is_valid(value, parameter.annotation)


def _builds_objects(value: object) -> bool:
    """Whether a part of ``value`` becomes an object before the constructor sees it."""
    if isinstance(value, dict):
        return "_target_" in value or any(map(_builds_objects, value.values()))
    return isinstance(value, list) and any(map(_builds_objects, value))


def _name(target: Callable[..., Any]) -> str:
    return getattr(target, "__name__", str(target))


@cache
def parameters_of(target: Callable[..., Any]) -> tuple[dict[str, Parameter], bool]:
    """The parameters of ``target`` by name, and whether it may take others.

    Where a constructor has ``**rest``, those of its base class follow, on the assumption that it passes them on.
    """
    parameters: dict[str, Parameter] = {}
    for function in _functions(target):
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # written in C
            return parameters, True
        is_open = False
        for name, parameter in list(signature.parameters.items())[isinstance(target, type) :]:
            if parameter.kind is parameter.VAR_KEYWORD:
                is_open = True
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                annotation = data_only(_evaluated(parameter.annotation, function))
                parameters.setdefault(name, Parameter(annotation, parameter.default))
        if not is_open:
            return parameters, False
    return parameters, True


def _functions(target: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    if not isinstance(target, type):
        yield target
        return
    for base in target.__mro__:
        if "__init__" in vars(base):
            yield vars(base)["__init__"]


def _evaluated(annotation: object, function: Callable[..., Any]) -> Any:
    """An annotation that is a string, evaluated where it was written; Any where that fails."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))
    except Exception:  # names that are imported for type checkers only
        return Any


def data_only(annotation: object) -> Any:
    """``annotation`` restricted to what a config can hold; None where nothing is left, or anything is allowed.

    Of ``float | Tensor``, ``float`` is left: a config cannot hold a tensor.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (int, float, bool, str, None, type(None)) or origin is Literal:
        return type(None) if annotation is None else annotation
    if origin is Annotated:
        inner = data_only(arguments[0])
        items = (inner, *arguments[1:])
        return None if inner is None else Annotated[items]
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if isinstance(annotation, NewType):
        return data_only(annotation.__supertype__)
    return _class_as_data(origin or annotation, arguments)


def _union(members: tuple[Any, ...]) -> Any:
    if any(member in (Any, object) or _is_enum(member) for member in members):
        return None
    kept = [data for member in members if (data := data_only(member)) is not None]
    kept = [data for data in kept if data is not str or PATH not in kept]
    return Union[tuple(kept)] if any(data is not type(None) for data in kept) else None  # noqa: UP007


def _is_enum(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, enum.Enum)


def _class_as_data(kind: object, arguments: tuple[Any, ...]) -> Any:
    if not isinstance(kind, type) or kind is object or kind is inspect.Parameter.empty:
        return None
    if issubclass(kind, os.PathLike):
        return PATH
    if kind is tuple and arguments and arguments[-1] is not Ellipsis:
        return tuple[tuple(data_only(item) or Any for item in arguments)]  # type: ignore[misc]
    if kind in LISTS:
        item = (data_only(arguments[0]) if arguments else None) or Any
        return list[item]  # type: ignore[valid-type]
    if kind in MAPPINGS:
        value = (data_only(arguments[1]) if len(arguments) == 2 else None) or Any
        return dict[str, value]  # type: ignore[valid-type]
    if kind.__module__ == "numbers":
        return float
    return None
