"""Resolves the important classes, as the user wrote them, against the class names of the data set."""

import shlex
from collections.abc import Sequence

from camri_exp.errors import UserError, nearest


def resolve_class_ids(
    important: float | str | Sequence[float | str] | None,
    class_names: Sequence[str],
    data: str,
    key: str = "important_class",
) -> list[int]:
    """The class ids of ``important``: an id, a name (in upper or lower case), or a list of either.

    Args:
        important: the user's value.
        class_names: the names of all classes, by id.
        data: the name of the data set, for error messages.
        key: the config key of the value, for error messages.

    Raises:
        UserError: no class, an id out of range, an unknown name, or a class that is given twice.
    """
    if important is None:
        raise UserError(
            f"data={data} has no default important class. Say which class matters: "
            f"{key}=<id or name>, one of {preview(class_names)}.{_quoting(class_names, key)}"
        )
    # A float is not iterable: 1.5 ends in the error for unknown names.
    given = [important] if isinstance(important, int | float | str) else list(important)
    if not given:
        raise UserError(f"{key} is an empty list. Give at least one class: an id or a name.")
    ids = [_resolve_one(item, class_names, data, key) for item in given]
    twice = {i for i in ids if ids.count(i) > 1}
    if twice:
        names = ", ".join(repr(class_names[i]) for i in sorted(twice))
        raise UserError(f"{key}={given}: {names} is given more than once. Give each class once.")
    return ids


def _resolve_one(item: float | str, class_names: Sequence[str], data: str, key: str) -> int:
    last = len(class_names) - 1
    if isinstance(item, int) and not isinstance(item, bool):
        # In a data set with classes named 3, 7, 12, an id and a name can look the same and mean different classes.
        if str(item) in class_names and class_names.index(str(item)) != item:
            name_id = class_names.index(str(item))
            raise UserError(
                f"{key}={item} could be the class named '{item}' (id {name_id}) or the class with id {item}. "
                f"Give the name in quotes ({key}=\"'{item}'\") or rename the class."
            )
        if 0 <= item <= last:
            return item
        raise UserError(f"{key}={item}: {data} has classes 0-{last}; {item} is not one.")
    exact = [i for i, name in enumerate(class_names) if name == item]
    folded = exact or [i for i, name in enumerate(class_names) if name.lower() == str(item).lower()]
    if folded:
        return folded[0]
    hint = nearest(str(item), class_names) or f" It has {preview(class_names)}."
    raise UserError(f"{key}={item}: {data} has no class of that name.{hint}{_quoting(class_names, key)}")


def _quoting(class_names: Sequence[str], key: str) -> str:
    """How to type the first name that the grammar of overrides reads otherwise, as 1e3 or null; empty if none is."""
    from hydra.core.override_parser.types import Quote, QuotedString

    for name in class_names:
        if not _reads_as_itself(name):
            argument = shlex.quote(f"{key}={QuotedString(name, Quote.single).with_quotes()}")
            return f" A name such as {name!r} needs quotes within quotes: {argument}"
    return ""


def _reads_as_itself(name: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        value = OverridesParser.create().parse_override(f"key={name}").value()
    except HydraException:
        return False
    # A whole number is resolved as a name or an id.
    return value == name or (isinstance(value, int) and not isinstance(value, bool) and str(value) == name)


def preview(names: Sequence[str], most: int = 10) -> str:
    """The first names as text, and the number of names where not all are shown."""
    shown = ", ".join(map(repr, names[:most]))
    return shown if len(names) <= most else f"{shown}, … ({len(names)} classes)"
