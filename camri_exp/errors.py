"""Errors that the user can fix: one or two lines, without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Says what was wrong, what was expected and what to do; a command prints it and exits with 1."""


def nearest(name: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x' or 'y'?"`` for the known names closest to ``name``, else an empty string."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def first_line(error: BaseException) -> str:
    """The first line of the message of ``error``, or its type where it has no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
