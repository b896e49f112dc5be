"""What is evaluated: a model's answers to the images of a split, from a run's files or fresh from a checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from omegaconf import DictConfig
from torch import Tensor

from camri_exp import build, checkpoint
from camri_exp.deploy.model import Predictor
from camri_exp.errors import UserError
from camri_exp.results import read_predictions, read_result

Array = npt.NDArray[Any]
SPLITS = ("train", "val", "test")
TITLE = ("data", "loss", "model", "seed")


@dataclass(frozen=True)
class Answers:
    """Scores (n, K), true classes (n,), names of the images, and their groups where these are known."""

    scores: Array
    target: Array
    names: Sequence[str]
    groups: Array | None


@dataclass(frozen=True)
class Subject:
    """One model, with its answers by split.

    ``probabilities`` maps scores to probabilities; ``weight`` (K, D) is the head's; ``pictures(split, indices)`` gives
    uint8 images. Each is None where the source does not have it.
    """

    title: Mapping[str, Any]
    class_names: list[str]
    important: list[int]
    answers: Mapping[str, Answers]
    cosines: bool
    probabilities: Callable[[Array], Array] | None = None
    weight: Array | None = None
    pictures: Callable[[str, Sequence[int]], Array] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def important_names(self) -> str:
        return ", ".join(self.class_names[k] for k in self.important)


def from_run(run: Path, *splits: str) -> Subject:
    """The answers that a finished run left in ``predictions.npz``; neither model nor data set is needed.

    Raises:
        UserError: not the folder of a finished run, or its predictions lack a split.
    """
    result, path = finished(run), run / "predictions.npz"
    if not path.is_file():
        raise UserError(f"run={run} holds no predictions.npz. Give checkpoint={run / result['checkpoint']} instead.")
    arrays = read_predictions(path)
    if missing := [split for split in splits if not {f"{split}_scores", f"{split}_target"} <= set(arrays)]:
        raise UserError(f"run={run} kept no predictions of split={missing[0]}. Give its checkpoint instead.")
    trained, notes = _checkpoint(run / result["checkpoint"])
    probabilities, more = _loss_probabilities(run, result, trained)
    return Subject(
        title={key: result[key] for key in TITLE} | {"run": str(run)},
        class_names=list(result["class_names"]),
        important=list(result["important_class"]),
        answers={split: stored(arrays, split) for split in splits},
        cosines=any(f"{split}_angle" in arrays for split in splits),
        probabilities=probabilities,
        weight=None if trained is None else _array(trained["state_dict"].get("head.weight")),
        notes=notes + more,
    )


def finished(run: Path) -> dict[str, Any]:
    """``result.json`` of a finished run, with all that an evaluation takes from it.

    Raises:
        UserError: not the folder of a finished run, or its ``result.json`` is damaged.
    """
    try:
        result = read_result(run)
        missing = {*TITLE, "class_names", "important_class", "checkpoint"} - set(result)
    except (ValueError, AttributeError) as error:
        raise UserError(f"{run / 'result.json'} is damaged: {error}. Give another run, or a checkpoint.") from error
    if missing:
        raise UserError(f"{run / 'result.json'} lacks {', '.join(sorted(missing))}: not written by camri_exp.train.")
    return result


def _checkpoint(path: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The run's checkpoint, for class weights and class counts, where it is still there."""
    if not path.is_file():
        return None, []
    try:
        return checkpoint.read_checkpoint(path), []
    except UserError as error:
        return None, [f"No angles between weights: {error}"]


def stored(arrays: Mapping[str, Array], split: str) -> Answers:
    """The answers to a split, of the arrays of ``predictions.npz``."""
    target = arrays[f"{split}_target"]
    names = arrays.get(f"{split}_name", np.arange(len(target)).astype(str))
    return Answers(arrays[f"{split}_scores"], target, names.tolist(), arrays.get(f"{split}_group"))


def _loss_probabilities(
    run: Path, result: Mapping[str, Any], trained: Mapping[str, Any] | None
) -> tuple[Callable[[Array], Array] | None, list[str]]:
    """How the run's loss makes probabilities of scores. A config that would run code is refused, not noted."""
    if not (run / "config.yaml").is_file():
        return None, ["No calibration: the run has no config.yaml that says how scores become probabilities."]
    context: dict[str, Any] = {
        "num_classes": len(result["class_names"]),
        "important_class": list(result["important_class"]),
    }
    if trained is not None:
        context["class_counts"] = trained["camri_exp"]["class_counts"]
    cfg = checkpoint.read_config(run)
    try:
        loss = build.part(cfg.loss, "loss", **context)
    except UserError as error:
        return None, [f"No calibration: {error}"]
    return lambda scores: loss.probabilities(torch.from_numpy(scores)).numpy(), []


def from_checkpoint(path: Path, *splits: str, root: str | None = None, device: str | None = None) -> Subject:
    """The answers of a checkpoint, run now on the data of its config (``root``: found in another folder).

    Raises:
        UserError: a checkpoint that cannot be trusted or does not fit, or data of other classes.
    """
    cfg, model, about = checkpoint.load(path)
    data = data_of(cfg, about, path, root)
    predictor = Predictor(model, about, device=device, precision=cfg.trainer.precision)
    return Subject(
        title={**{key: about[key] for key in ("data", "loss", "model")}, "seed": cfg.seed, "checkpoint": str(path)},
        class_names=about["class_names"],
        important=about["important_class"],
        answers={split: _answers(predictor, data, split) for split in splits},
        cosines=model.angles is not None,
        probabilities=lambda scores: model.loss.probabilities(torch.from_numpy(scores)).numpy(),
        weight=_array(getattr(model.head, "weight", None)),
        pictures=lambda split, index: data.images(split, list(index)).numpy(),
    )


def _array(weight: Tensor | None) -> Array | None:
    return None if weight is None else weight.detach().float().numpy()


def data_of(cfg: DictConfig, about: Mapping[str, Any], path: Path, root: str | None) -> Any:
    if root is not None:
        cfg.data.root = root
    data = build.datamodule(cfg)
    data.prepare_data()
    data.setup("test")
    if list(data.class_names) != about["class_names"]:
        mine, theirs = about["class_names"], list(data.class_names)
        raise UserError(
            f"{path} was trained on {len(mine)} classes ({', '.join(mine[:3])}, …), the data in {cfg.data.root} has "
            f"{len(theirs)} ({', '.join(theirs[:3])}, …). Give data of the same classes: data.root=DIR"
        )
    return data


def _answers(predictor: Predictor, data: Any, split: str) -> Answers:
    count = data.length(split)
    scores = []
    for start in range(0, count, data.batch_size):
        scores.append(predictor(data.images(split, slice(start, start + data.batch_size)))[0])
    groups = data.groups(split)
    return Answers(
        np.concatenate(scores),
        data.splits[split].target.numpy(),
        list(data.names(split)),
        None if groups is None else np.asarray(groups),
    )
