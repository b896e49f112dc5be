"""Running the evaluate command, and reading what it wrote and what it was computed from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.conftest import Command

FIGURES = {"recall_accuracy", "confusion", "recall_per_class", "reliability"}


def evaluated(command: Command, *arguments: str, name: str = "evaluation.json") -> tuple[Any, str]:
    """Run ``evaluate`` with ``output=out``; the content of its JSON file, and the printed text."""
    finished = command("evaluate", *arguments, "output=out")
    assert finished.code == 0, finished.err
    with open(f"out/{name}", encoding="utf-8") as file:
        return json.load(file), finished.out


def kept(run: Path, split: str = "test") -> dict[str, npt.NDArray[Any]]:
    """The arrays of one split in the predictions of a run, without the prefix."""
    with np.load(run / "predictions.npz") as file:
        return {name.removeprefix(f"{split}_"): file[name] for name in file.files if name.startswith(split)}


def figures(folder: Path) -> set[str]:
    """Names of the PNG files in a folder, without the suffix."""
    return {path.stem for path in folder.glob("*.png")}
