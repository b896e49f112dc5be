"""Settings of a function that a data module calls once its images are read."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def check_settings(name: str, function: Callable[..., Any], settings: Mapping[str, object], expected: str) -> None:
    """Check that ``settings`` are the arguments of ``function`` after its first two, the classes and their names.

    Raises:
        ValueError: an unknown or a missing key; the message names ``name`` and what is ``expected``.
    """
    try:
        inspect.signature(function).bind(None, None, **settings)
    except TypeError as error:
        raise ValueError(f"{name}: {error}; expected {expected}") from error
