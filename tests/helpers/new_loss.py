"""A loss of a user, outside the package: one .py and one .yaml."""

from pathlib import Path

import pytest

from tests.conftest import searching


def add_loss(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, target: str, code: str, settings: str) -> str:
    """Write ``code`` and the option ``loss=NAME``, with a cosine head; return the override that finds the option."""
    module, _, _ = target.partition(".")
    (folder / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    options = folder / "configs" / "loss"
    options.mkdir(parents=True)
    (options / f"{name}.yaml").write_text(
        f"defaults:\n  - override /head@_global_.head: cosine\nname: {name}\n_target_: {target}\n{settings}"
    )
    return searching(folder / "configs")
