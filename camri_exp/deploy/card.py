"""``card.md``: what a model is for, what it was trained on, what it does and what is promised, for whoever receives it.

Markdown that model hubs render. Names of classes, data sets and files come from elsewhere and are escaped.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

import camri_exp
from camri_exp.data.splits import NOUNS
from camri_exp.errors import UserError
from camri_exp.evaluation.operating_point import OperatingPoint, stored_by_run
from camri_exp.evaluation.promise import Price
from camri_exp.evaluation.promise_price import price
from camri_exp.evaluation.promise_text import percent, sentences, share
from camri_exp.files import atomic_write
from camri_exp.metrics.intervals import Interval
from camri_exp.models.metadata import ModelMetadata
from camri_exp.results import RunResult, SplitPredictions
from camri_exp.text import escape_markdown, markdown_table, printable

CARD = "card.md"
FIRST_LINE = "<!-- Written by camri_exp.export. An export to this folder replaces the file. -->"
Splits = Mapping[str, SplitPredictions]


def check_card(folder: Path) -> None:
    """Check that ``folder`` has no card that somebody else wrote.

    Raises:
        UserError: it has.
    """
    path = folder / CARD
    if path.exists() and not path.read_bytes().startswith(FIRST_LINE.encode()):
        raise UserError(f"{path} was not written by camri_exp.export. Rename it, or export to another folder.")


def write_card(exported: Path, checkpoint: Path, model: ModelMetadata, point: OperatingPoint) -> Path:
    """Write the card of the file ``exported`` next to it; returns its path."""
    path = exported.parent / CARD
    with atomic_write(path) as file:
        file.write("\n\n".join(_sections(exported, checkpoint, model, point)) + "\n")
    return path


def _sections(exported: Path, checkpoint: Path, model: ModelMetadata, point: OperatingPoint) -> Iterator[str]:
    names = ", ".join(map(_text, model.important_class_names))
    result, splits, unknown = _stored(checkpoint)
    yield FIRST_LINE
    yield f"# {_text(exported.name)}: {_text(model.data)}, important class {names}"
    yield _purpose(model, names)
    yield f"## Data\n\n{_counts(model, splits)}"
    yield f"## Numbers\n\n{unknown or _numbers(model, splits, point)}"
    yield f"## Promise\n\n{_promise(point)}"
    yield f"## Threshold\n\nBias of {names}: {_text(str(point))}. It is a part of the output `prediction`."
    yield f"## Not for\n\n{_not_for(model, point)}"
    yield f"## Versions\n\n{_table(['', ''], _versions(exported, checkpoint, model, result))}"


def _stored(checkpoint: Path) -> tuple[RunResult | None, Splits, str]:
    """What the run of ``checkpoint`` stored, else why it is not known."""
    try:
        return *stored_by_run(checkpoint), ""
    except UserError as error:
        return None, {}, f"Not known: {_text(str(error))}"


def _text(text: str) -> str:
    """``text`` from elsewhere as plain text on one line."""
    return escape_markdown(printable(text))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(markdown_table(header, rows))


def _purpose(model: ModelMetadata, names: str) -> str:
    colour = "RGB" if model.channels == 3 else "grey"
    return (
        f"An image classifier for the {len(model.class_names)} classes below, in which {names} matters more than the "
        f"others. Architecture {_text(model.model)}, trained by camri\\_exp with the loss {_text(model.loss)}. Its "
        f"input is a {colour} image of {model.image_size} x {model.image_size} pixels; its outputs are `scores` and "
        "`probabilities` of each class, and `prediction`, the class with the threshold. The metadata in the file name "
        "the classes and describe the preprocessing."
    )


def _counts(model: ModelMetadata, splits: Splits) -> str:
    num_classes, counts = len(model.class_names), {"train": model.class_counts}
    for name, split in splits.items():
        counts[name] = np.bincount(split.target, minlength=num_classes).tolist()
    shown = [name for name in NOUNS if name in counts]
    labels = [_text(name) for name in model.class_names]
    labels = [f"**{label}**" if k in model.important_class else label for k, label in enumerate(labels)]
    rows = [[label, *(str(counts[split][k]) for split in shown)] for k, label in enumerate(labels)]
    rows.append(["all", *(str(sum(counts[split])) for split in shown)])
    groups = {name: len(set(split.groups)) for name, split in splits.items() if split.groups is not None}
    noted = "".join(f" The {NOUNS[name]} images show {number} objects." for name, number in groups.items())
    heading = f"Images of the data set {_text(model.data)} per class and split; bold: the important class.{noted}"
    return f"{heading}\n\n{_table(['class', *(NOUNS[name] for name in shown)], rows)}"


def _numbers(model: ModelMetadata, splits: Splits, point: OperatingPoint) -> str:
    """Metrics on the test images, without and with the threshold."""
    if "test" not in splits:
        return "Not known: the run stored no predictions of test images."
    important, names = model.important_class, model.class_names
    biases = np.broadcast_to(point.bias, len(important)).tolist()
    zero, moved = (price(splits["test"], "test", important, names, each) for each in ([0.0] * len(important), biases))
    assert zero is not None
    assert moved is not None
    rows = [[label, share(before), share(after)] for label, before, after in _rows(zero, moved)]
    heading = f"On the {len(splits['test'])} test images, with 95 % confidence intervals (CI):"
    return f"{heading}\n\n{_table(['', 'without the threshold', 'with the threshold'], rows)}"


def _rows(zero: Price, moved: Price) -> Iterator[tuple[str, Interval, Interval]]:
    yield "accuracy", zero.accuracy, moved.accuracy
    for before, after in zip(zero.per_class, moved.per_class, strict=True):
        name = _text(before.class_name)
        yield f"recall of {name}", before.recall, after.recall
        yield f"false alarms of {name}, of the other images", before.false_alarms, after.false_alarms


def _promise(point: OperatingPoint) -> str:
    if point.promise is None:
        return "No recall is promised. `export recall=0.95` makes a file with a promise."
    lines = [f"- {_text(sentence)}" for sentence in sentences(point.promise)]
    if point.promise.promised:
        lines.append(
            "- Conditions: new images come from the distribution of the calibration images and are independent of each "
            "other (of several images of one object, one counts), and this model was not chosen among others by its "
            f"results on the calibration images. {percent(point.promise.confidence)} of all draws of calibration "
            "images lead to a threshold that keeps the promise."
        )
    return "\n".join(lines)


def _not_for(model: ModelMetadata, point: OperatingPoint) -> str:
    lines = [
        f"- Images that are unlike those of {_text(model.data)}, such as those of another camera, place or season. No "
        "number on this page holds for them.",
        f"- Images of none of these classes. Each image gets one of the {len(model.class_names)} classes.",
        "- Decisions that rely on the probabilities of the classes without checking their calibration.",
    ]
    if point.promise is None or not point.promise.promised:
        lines.append("- Uses that need a guaranteed recall. Nothing is promised of this file.")
    return "\n".join(lines)


def _versions(exported: Path, checkpoint: Path, model: ModelMetadata, result: RunResult | None) -> list[list[str]]:
    rows = [
        ["camri\\_exp", camri_exp.__version__],
        ["torch", torch.__version__],
        [f"SHA-256 of {_text(exported.name)}", f"`{_sha256(exported)}`"],
        [f"SHA-256 of {_text(checkpoint.name)}", f"`{_sha256(checkpoint)}`"],
    ]
    if result is not None:
        rows += [["seed", str(result.seed)], ["hash of the configuration", f"`{_text(result.config_hash)}`"]]
        rows += [["hash of the test images", f"`{_text(str(result.data_fingerprint))}`"]]
    return rows


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
