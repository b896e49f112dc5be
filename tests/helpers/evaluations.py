"""What an evaluation wrote, and what it was made from."""

import json

import numpy as np

FIGURES = {"recall_accuracy", "confusion", "recall_per_class", "reliability"}


def evaluated(command, *arguments, name="evaluation.json"):
    finished = command("evaluate", *arguments, "output=out")
    assert finished.code == 0, finished.err
    with open(f"out/{name}", encoding="utf-8") as file:
        return json.load(file), finished.out


def kept(run, split="test"):
    with np.load(run / "predictions.npz") as file:
        return {name.removeprefix(f"{split}_"): file[name] for name in file.files if name.startswith(split)}


def pictures(folder):
    return {path.stem for path in folder.glob("*.png")}
