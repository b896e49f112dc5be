"""The files of an evaluation: numbers, threshold curve and figures."""

from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from camri_exp.errors import UserError
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.evaluation.record import Evaluation
from camri_exp.files import atomic_path, refuse_links
from camri_exp.metrics import threshold


@dataclass(frozen=True)
class EvaluationFiles:
    """The paths of the files of an evaluation; ``curve`` is None where there is no threshold to move."""

    numbers: Path
    curve: Path | None = None
    figures: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"numbers: {self.numbers}"]
        if self.curve is not None:
            lines.append(f"threshold curve: {self.curve}")
        if self.figures:
            lines.append(f"figures: {self.figures[0].parent} ({', '.join(path.name for path in self.figures)})")
        return "\n".join(lines)


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    model: ModelPredictions,
    other: ModelPredictions | None = None,
    *,
    figures: bool = True,
) -> EvaluationFiles:
    """Write the files of an evaluation of ``model``, compared with ``other`` where given, to ``folder``.

    Files of other splits than test carry the name of the split.

    Raises:
        UserError: the folder cannot be written.
    """
    split = evaluation.split
    name, subfolder = ("evaluation", "figures") if split == "test" else (f"evaluation_{split}", f"figures/{split}")
    numbers, curve = folder / f"{name}.json", folder / f"{name}_threshold.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        refuse_links(folder)
        evaluation.write(numbers)
        if evaluation.threshold is not None:
            write_curve(model, split, curve)
        paths: list[Path] = []
        if figures:
            from camri_exp.evaluation.plots import draw_figures  # matplotlib is slow to import

            paths = draw_figures(model, other, evaluation, folder / subfolder)
    except OSError as error:
        raise UserError(f"the evaluation cannot be written to {folder}: {error.strerror}. Give output=DIR") from error
    return EvaluationFiles(numbers, None if evaluation.threshold is None else curve, paths)


def write_curve(model: ModelPredictions, split: str, path: Path) -> None:
    """Write the whole threshold curve as a CSV file: bias, recall, precision and accuracy, by increasing bias."""
    predictions = model.splits[split]
    curve = threshold.curve(predictions.scores, predictions.target, model.important)
    columns = [column.name for column in fields(curve)]
    rows = np.stack([getattr(curve, name) for name in columns], axis=1)
    with atomic_path(path) as temporary:
        np.savetxt(temporary, rows, fmt="%.10g", delimiter=",", header=",".join(columns), comments="")
