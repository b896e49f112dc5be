"""What a W&B run is called: a name of its short overrides, and tags to filter by."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from camri_exp.identity import NOT_HASHED

NAMED = ("data", "loss")  # every name begins with these
LONGEST_NAME, LONGEST_TAG = 128, 64  # what W&B accepts


def run_name(overrides: Sequence[str], config: Mapping[str, Any]) -> str:
    """``digits camri margin=0.2 seed=1`` of ``loss=camri loss.margin=0.2 seed=1``: data, loss, and what was set.

    A key is written by its last part, unless two would then read the same.
    """
    pairs = [override.lstrip("+~").partition("=")[::2] for override in overrides]
    pairs = [(key, value) for key, value in pairs if key not in NAMED and key.partition(".")[0] not in NOT_HASHED]
    last = Counter(_last(key) for key, _ in pairs)
    words = [f"{_last(key) if last[_last(key)] == 1 else key}={value}" for key, value in pairs]
    return _cut(" ".join([config["data"]["name"], config["loss"]["name"], *words]), LONGEST_NAME)


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def tags(config: Mapping[str, Any], important_class_names: Sequence[str]) -> list[str]:
    """Data set, loss and important classes, each once."""
    words = [config["data"]["name"], config["loss"]["name"], *important_class_names]
    return list(dict.fromkeys(_cut(word, LONGEST_TAG) for word in words if word))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
