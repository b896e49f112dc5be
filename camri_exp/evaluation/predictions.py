"""Model predictions for the splits of a data set: read from a run's files, or computed from a checkpoint."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from camri_exp.data.base import ImageDataModule
from camri_exp.errors import UserError, first_line
from camri_exp.evaluation.checkpoint_data import data_of_checkpoint
from camri_exp.evaluation.record import Source
from camri_exp.models import checkpoint as checkpoints
from camri_exp.models.factory import build_loss
from camri_exp.models.inference import Predictor
from camri_exp.models.metadata import LossFact, facts_for_losses
from camri_exp.results import PREDICTIONS, RESULT, RunResult, SplitPredictions, check_predictions, read_predictions
from camri_exp.stored_config import CONFIG, load_run_config

Array = npt.NDArray[Any]
LOSS = "loss."  # begins the names of the constants of the loss in a checkpoint
NO_CALIBRATION = "A run has one where it was trained with data.calibration_fraction=0.1 or another fraction."


@dataclass(frozen=True)
class ModelPredictions:
    """One model and its predictions per split.

    ``run`` or ``checkpoint`` says where they come from. ``probabilities`` maps scores to probabilities; ``weight``
    (K, D) is that of the head; ``images(split, indices)`` gives uint8 images. Each is None where the source does not
    have it.
    """

    data: str
    loss: str
    model: str
    seed: int
    class_names: list[str]
    important: list[int]
    splits: Mapping[str, SplitPredictions]
    has_cosine_scores: bool
    run: str | None = None
    checkpoint: str | None = None
    probabilities: Callable[[Array], Array] | None = None
    weight: Array | None = None
    images: Callable[[str, Sequence[int]], Array] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def important_names(self) -> str:
        return ", ".join(self.class_names[k] for k in self.important)

    @property
    def source(self) -> Source:
        return Source(self.data, self.loss, self.model, self.seed, self.run, self.checkpoint)


def from_run(
    run: Path, *splits: str, optional: Collection[str] = (), trusted: Collection[str] = ()
) -> ModelPredictions:
    """The predictions that a finished run stored in ``predictions.npz``; neither the model nor the data is needed.

    ``optional`` are further splits, of which those that the run does not have are left out.

    Raises:
        UserError: not the folder of a finished run, or its predictions lack a split.
    """
    result = RunResult.of(run)
    stored = stored_splits(run, result, *splits, optional=optional)
    trained, notes = _checkpoint(run / result.checkpoint)
    probabilities, more = _loss_probabilities(run, result, trained, trusted)
    return ModelPredictions(
        data=result.data,
        loss=result.loss,
        model=result.model,
        seed=result.seed,
        class_names=result.class_names,
        important=result.important_class,
        splits=stored,
        has_cosine_scores=any(split.angle is not None for split in stored.values()),
        run=str(run),
        probabilities=probabilities,
        weight=None if trained is None else _as_array(trained.state_dict.get("head.weight")),
        notes=notes + more,
    )


def stored_splits(
    run: Path, result: RunResult, *splits: str, optional: Collection[str] = ()
) -> dict[str, SplitPredictions]:
    """The predictions of ``splits`` that a finished run stored, and of those of ``optional`` that it has.

    Raises:
        UserError: ``predictions.npz`` is missing or damaged, or lacks a split.
    """
    path = run / PREDICTIONS
    if not path.is_file():
        raise UserError(f"run={run} has no {PREDICTIONS}. Give checkpoint={run / result.checkpoint} instead.")
    arrays = read_predictions(path)
    check_predictions(arrays, len(result.class_names), path)
    if missing := [split for split in splits if not {f"{split}_scores", f"{split}_target"} <= set(arrays)]:
        advice = NO_CALIBRATION if missing[0] == "calibration" else "Give its checkpoint instead."
        raise UserError(f"run={run} stored no predictions of split={missing[0]}. {advice}")
    wanted = dict.fromkeys([*splits, *(split for split in optional if f"{split}_scores" in arrays)])
    return {split: SplitPredictions.from_arrays(arrays, split) for split in wanted}


def _checkpoint(path: Path) -> tuple[checkpoints.Checkpoint | None, list[str]]:
    """The run's checkpoint, for class weights and class counts, where it still exists."""
    if not path.is_file():
        return None, []
    try:
        return checkpoints.read_checkpoint(path), []
    except UserError as error:
        return None, [f"No angles between weights: {error}"]


def _loss_probabilities(
    run: Path, result: RunResult, trained: checkpoints.Checkpoint | None, trusted: Collection[str]
) -> tuple[Callable[[Array], Array] | None, list[str]]:
    """The function from scores to probabilities of the run's loss, else a note that says why there is none.

    A config that would run code is an error, not a note.
    """
    if not (run / CONFIG).is_file():
        return None, ["No calibration: the run has no config.yaml, which defines how scores become probabilities."]
    facts: dict[str, LossFact] = {"num_classes": len(result.class_names), "important_class": result.important_class}
    if trained is not None:
        facts = facts_for_losses(trained.metadata)
    cfg = load_run_config(run, ("loss",), trusted)
    try:
        loss = build_loss(cfg, facts)
        if trained is not None:  # constants that changed in training
            state = trained.state_dict.items()
            loss.load_state_dict({key[len(LOSS) :]: value for key, value in state if key.startswith(LOSS)})
    except (UserError, RuntimeError) as error:
        return None, [f"No calibration: {first_line(error)}"]
    return lambda scores: loss.probabilities(torch.from_numpy(scores)).numpy(), []


def from_checkpoint(
    path: Path,
    *splits: str,
    optional: Collection[str] = (),
    root: str | None = None,
    device: str | None = None,
    trusted: Collection[str] = (),
) -> ModelPredictions:
    """The predictions of a checkpoint, computed now on the data of its config; ``root`` replaces the data folder.

    The validation split, on which the threshold is chosen, is then that of the run, if the run stored its predictions:
    a new labelled set is not one to choose on. The same holds for ``optional`` splits, which are left out where the
    data does not have them.

    Raises:
        UserError: the checkpoint cannot be trusted or does not fit its config, or the data has other classes.
    """
    cfg, model = checkpoints.load(path, trusted)
    data = data_of_checkpoint(cfg, model.metadata, path, root)
    predictor = Predictor(model, device=device, precision=cfg.trainer.precision)
    stored = _stored_by_run(path, optional) if root is not None and splits != ("val",) else {}
    if root is not None and optional and not stored:
        raise UserError(
            f"recall=… with data.root=… needs the predictions that the run of {path} stored, because nothing is "
            "promised from the images that are checked.\nKeep the files of a run together, and give split=all or test."
        )
    wanted = [*splits, *(split for split in optional if split in data.splits and not stored)]
    computed = {split: _predict(predictor, data, split) for split in wanted if split not in stored}
    return ModelPredictions(
        data=model.metadata.data,
        loss=model.metadata.loss,
        model=model.metadata.model,
        seed=cfg.seed,
        class_names=model.class_names,
        important=model.important_class,
        splits=computed | stored,
        has_cosine_scores=model.has_cosine_scores,
        checkpoint=str(path),
        probabilities=lambda scores: model.loss.probabilities(torch.from_numpy(scores)).numpy(),
        weight=_as_array(getattr(model.head, "weight", None)),
        images=lambda split, index: data.images(split, list(index)).numpy(),
    )


def _stored_by_run(path: Path, optional: Collection[str]) -> dict[str, SplitPredictions]:
    """``val`` and the ``optional`` splits that the run of a checkpoint stored; empty if they are of another one."""
    run = path.resolve().parent.parent
    if not (run / RESULT).is_file():
        return {}
    result = RunResult.of(run)
    if (run / result.checkpoint).resolve() != path.resolve():
        return {}
    return stored_splits(run, result, "val", optional=optional)


def _as_array(weight: Tensor | None) -> Array | None:
    return None if weight is None else weight.detach().float().numpy()


def _predict(predictor: Predictor, data: ImageDataModule, split: str) -> SplitPredictions:
    if split not in data.splits:
        raise UserError(f"{data.root} has no calibration split. {NO_CALIBRATION}")
    if not data.length(split) and split != "val":
        raise UserError(f"{data.root} has no image of split={split}. Evaluate every image: split=all")
    scores = [
        predictor(data.images(split, slice(start, start + data.batch_size)))[0]
        for start in range(0, data.length(split), data.batch_size)
    ]
    groups = data.groups(split)
    return SplitPredictions(
        np.concatenate(scores) if scores else np.empty((0, len(data.class_names)), np.float32),
        data.splits[split].target.numpy(),
        np.asarray(data.names(split), dtype=np.str_),
        None if groups is None else np.asarray(groups, dtype=np.str_),
    )
