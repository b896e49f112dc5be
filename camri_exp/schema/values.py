"""One value and the annotation of its key: the check by pydantic, and the words for what was expected."""

import json
import types
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

LONGEST = 80  # characters of a value in a message


@dataclass(frozen=True)
class Range:
    """Bounds of a number, in ``Annotated[int, Range(1, 10)]``. ``finite=False`` allows NaN and infinity."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    finite: bool = True

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        bounds = {"ge": self.least, "le": self.most, "gt": self.above, "lt": self.below}
        bounds |= {} if self.finite else {"allow_inf_nan": True}
        return handler(source) | {key: bound for key, bound in bounds.items() if bound is not None}

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f" from {self.least} to {self.most}"
        lower = f"of at least {self.least}" if self.least is not None else ""
        lower = f"above {self.above}" if self.above is not None else lower
        upper = f"at most {self.most}" if self.most is not None else ""
        upper = f"below {self.below}" if self.below is not None else upper
        text = " and ".join(filter(None, (lower, upper)))
        return f" {text}" if text else ""


@dataclass(frozen=True)
class Pattern:
    """The regular expression that a text matches as a whole."""

    regex: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler(source) | {"pattern": f"^(?:{self.regex})$"}


@dataclass(frozen=True)
class Words:
    """The words for what is expected, where those that follow from the types would say less."""

    text: str


def is_valid(value: object, annotation: object) -> bool:
    """Whether ``value``, made of plain JSON types, is one of ``annotation``: no conversion, and no NaN or infinity.

    An annotation that pydantic cannot read allows any value.
    """
    from pydantic import ValidationError

    try:
        _adapter(annotation).validate_json(json.dumps(value, default=str))
    except ValidationError:
        return False
    except (TypeError, RuntimeError):  # of pydantic, for the annotation
        return True
    return True


@cache
def _adapter(annotation: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(annotation, config=ConfigDict(strict=True, allow_inf_nan=False))


def expected(annotation: object) -> str:
    """What ``annotation`` allows, in words: ``a whole number of at least 1, or null``."""
    options = list(dict.fromkeys(_options(annotation)))
    options.sort(key=lambda option: option == "null")
    *rest, last = options
    comma = "," if last == "null" and any(letter.isdigit() for letter in "".join(rest)) else ""
    return f"{', '.join(rest)}{comma} or {last}" if rest else last


def _options(annotation: Any) -> list[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        words = [item.text for item in arguments[1:] if isinstance(item, Words)]
        bounds = "".join(str(item) for item in arguments[1:] if isinstance(item, Range))
        return words or [option + bounds for option in _options(arguments[0])]
    if origin in (Union, types.UnionType):
        return [option for member in arguments for option in _options(member)]
    if origin is Literal:
        texts = list(dict.fromkeys(map(text_of, arguments)))
        return texts if len(texts) == 1 else [f"one of {', '.join(texts)}"]
    if annotation is list or origin is list:
        item = "" if not arguments or arguments[0] is Any else f" of {_plural(arguments[0])}"
        return [f"a list{item}"]
    if origin is tuple:
        return [f"a list of {len(arguments)} values"]
    if annotation is dict or origin is dict:
        return ["a mapping"]
    return [SINGULAR.get(annotation, "any value")]


SINGULAR = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
PLURAL = {int: "whole numbers", float: "numbers", bool: "true or false", str: "texts"}


def _plural(annotation: Any) -> str:
    return PLURAL.get(annotation) or expected(annotation).replace("a list of", "lists of")


def text_of(value: object) -> str:
    """``value`` as the user types it, on one line and not too long."""
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, list):
        text = f"[{','.join(map(text_of, value))}]"
    elif isinstance(value, dict):
        text = f"{{{','.join(f'{key}:{text_of(item)}' for key, item in value.items())}}}"
    else:
        text = str(value)
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
