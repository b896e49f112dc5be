"""The public interface of ``camri_exp``, and the list of its commands."""

import subprocess
import sys
from importlib import import_module

import pytest

import camri_exp
from camri_exp.__main__ import COMMANDS


def python(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", camri_exp.__all__)
def test_public_name_is_importable_and_documented(name: str) -> None:
    value = getattr(camri_exp, name)
    assert value.__module__.startswith("camri_exp.")
    assert value.__doc__
    assert name in dir(camri_exp)


def test_public_names_are_sorted_and_unique() -> None:
    assert camri_exp.__all__ == sorted(set(camri_exp.__all__), key=lambda name: (name[0].islower(), name))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'camri_exp' has no attribute 'CamriLoss'"):
        camri_exp.CamriLoss  # noqa: B018


def test_import_is_lazy() -> None:
    code = "import sys, camri_exp; print(*{'torch', 'numpy', 'hydra'} & set(sys.modules))"
    assert python("-c", code).split() == []


def test_module_lists_the_commands() -> None:
    lines = python("-m", "camri_exp").splitlines()
    listed = [line.split()[2].removeprefix("camri_exp.") for line in lines if line.startswith("  python -m")]
    assert listed == list(COMMANDS) == ["train", "evaluate", "predict", "export", "report"]
    assert all(callable(import_module(f"camri_exp.{name}").main) for name in COMMANDS)
