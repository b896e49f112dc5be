"""The training of a stack: the metrics and the best epoch of each run, runs that fail, and snapshots to resume from."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from camri_exp.errors import UserError
from camri_exp.files import atomic_path
from camri_exp.metrics.angle_metric import angle_summary, own_angle
from camri_exp.metrics.confusion import summarize
from camri_exp.models.classifier import FeatureClassifier, not_finite
from camri_exp.training.stack import Block, Stack, Weights

Row = dict[str, float]  # the metrics of one epoch
SNAPSHOT_SECONDS = 20.0


@dataclass
class Progress:
    """What is known of one run of a stack.

    Attributes:
        rows: the metrics of its epochs.
        logged: (step, metrics) as loggers get them during the training.
        best: the best epoch so far, and its value of the monitored metric.
        error: why it failed.
    """

    rows: list[Row] = field(default_factory=list)
    logged: list[tuple[int, Row]] = field(default_factory=list)
    best: tuple[int, float] | None = None
    error: str | None = None


class StackedFit:
    """Trains a stack to its end, or from the snapshot of an interrupted one.

    Args:
        stack: the runs.
        monitor: the metric that decides which epoch is the best.
        mode: ``max`` or ``min``.
        snapshot: the file of the snapshots.

    Attributes:
        names: what the runs are called in a snapshot.
    """

    def __init__(self, stack: Stack, monitor: str, mode: str, snapshot: Path) -> None:
        self.stack, self.monitor, self.sign, self.snapshot = stack, monitor, 1 if mode == "max" else -1, snapshot
        self.progress = [Progress() for _ in stack.members]
        self.best = [{name: value.detach().clone() for name, value in b.weights.items()} for b in stack.blocks]
        self.seconds, self._begin = 0.0, time.perf_counter()
        self.names: list[str] = []

    def run(self, report: Callable[[str], object]) -> None:
        """Train; ``report`` is told of every epoch."""
        self._resume()
        self._begin = saved = time.perf_counter()
        while self.stack.epoch < self.stack.epochs:
            self._epoch()
            report(f"epoch {self.stack.epoch}/{self.stack.epochs} of {len(self.stack.members)} jobs in one program")
            if time.perf_counter() - saved > SNAPSHOT_SECONDS or self.stack.epoch == self.stack.epochs:
                self.save()
                saved = time.perf_counter()
        self.seconds += time.perf_counter() - self._begin

    def _epoch(self) -> None:
        epoch, interval = self.stack.epoch, self.stack.members[0].model.log_every_n_steps
        losses: list[Tensor] = []
        for step, values in enumerate(self.stack.train_epoch(), start=1):
            losses.append(values)
            if step % interval == 0 or step == self.stack.steps_per_epoch:
                latest = torch.stack(losses[(step - 1) // interval * interval :])
                self._log(epoch * self.stack.steps_per_epoch + step, latest)
        steps = torch.stack(losses).cpu()
        for position, found in enumerate(steps.isfinite().T):
            if self.progress[position].error is None and not found.all():
                first = int(found.int().argmin())
                self.progress[position].error = str(not_finite(epoch, first, float(steps[first, position])))
        means = steps.double().mean(0).float().tolist()
        position = 0
        for number, block in enumerate(self.stack.blocks):
            rows = validation(block, self.stack)
            for at, row in enumerate(rows, start=position):
                if self.progress[at].error is None:
                    self._record(at, epoch, {"train/loss": means[at], **row})
            self._keep_best(number, range(position, position + len(rows)), epoch)
            position += len(rows)

    def _log(self, step: int, losses: Tensor) -> None:
        for member, progress, loss in zip(self.stack.members, self.progress, losses.mean(0).tolist(), strict=True):
            if member.cfg.get("logger"):
                progress.logged.append((step, {"train/loss": loss, "train/lr": self.stack.learning_rate(member)}))

    def _record(self, position: int, epoch: int, row: Row) -> None:
        member, progress = self.stack.members[position], self.progress[position]
        step = self.stack.epoch * self.stack.steps_per_epoch
        progress.rows.append({"epoch": epoch, "step": step, **row, "train/lr": self.stack.learning_rate(member)})
        if member.cfg.get("logger"):
            metrics = {name: value for name, value in row.items() if name.startswith("val/")}
            progress.logged.append((step, {**metrics, "epoch": epoch}))

    def _keep_best(self, number: int, positions: Sequence[int], epoch: int) -> None:
        """Copy the weights of the runs that are better than ever before, as ModelCheckpoint with ``save_top_k=1``."""
        better = []
        for row, position in enumerate(positions):
            if self.progress[position].error is not None:
                continue
            value = self._monitored(position) * self.sign
            value, best = -math.inf if math.isnan(value) else value, self.progress[position].best
            if best is None or value > best[1]:
                self.progress[position].best = epoch, value
                better.append(row)
        for name, weights in self.stack.blocks[number].weights.items():
            self.best[number][name][better] = weights.detach()[better]

    def _monitored(self, position: int) -> float:
        row = self.progress[position].rows[-1]
        if self.monitor not in row:
            names = ", ".join(name for name in row if name not in ("epoch", "step"))
            raise UserError(f"callbacks.best.monitor={self.monitor}: expected one of {names}.")
        return row[self.monitor]

    def save(self) -> None:
        """Write a snapshot."""
        self.seconds, self._begin = self.seconds + time.perf_counter() - self._begin, time.perf_counter()
        progress = [vars(each) for each in self.progress]
        state = {"stack": self.stack.state_dict(), "best": self.best, "progress": progress, "seconds": self.seconds}
        self.snapshot.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.snapshot) as temporary:
            torch.save({"names": self.names, **state}, temporary)

    def _resume(self) -> None:
        """Load the snapshot, where there is one that is not damaged."""
        try:
            state: dict[str, Any] = torch.load(self.snapshot, map_location=self.stack.device, weights_only=True)
        except Exception:  # no file, or one that a full disk cut off
            return
        self.stack.load_state_dict(state["stack"])
        self.best, self.seconds = state["best"], state["seconds"]
        self.progress = [Progress(**values) for values in state["progress"]]

    def weights_of(self, number: int, checkpoint: str) -> Weights:
        """The weights of block ``number`` at its best or its last epoch."""
        return self.best[number] if checkpoint == "best" else self.stack.blocks[number].weights


def validation(block: Block, stack: Stack) -> list[Row]:
    """The validation metrics of the runs of a block, as a run alone logs them."""
    scores, target = stack.scores("val", block), stack.data.splits["val"].target.cpu()
    classes = scores.shape[2]
    pairs = torch.arange(len(scores))[:, None] * classes + target  # (S, n)
    confusions = torch.bincount((pairs * classes + scores.argmax(2)).flatten(), minlength=len(scores) * classes**2)
    matrices = confusions.view(-1, classes, classes).numpy()
    moments = _moments(scores, target, classes) if block.members[0].model.has_cosine_scores else None
    return [
        metrics_of(member.model, matrices[i], None if moments is None else moments[i])
        for i, member in enumerate(block.members)
    ]


def _moments(cosines: Tensor, target: Tensor, classes: int) -> Tensor:
    """Count, sum and sum of squares of the angle to the own class, (S, 3, K); see ``OwnClassAngle``."""
    angle = own_angle(cosines.flatten(0, 1), target.repeat(len(cosines))).view(len(cosines), -1)
    moments = torch.zeros(len(cosines), 3, classes)
    return moments.index_add_(2, target, torch.stack([torch.ones_like(angle), angle, angle.square()], dim=1))


def metrics_of(model: FeatureClassifier, confusion: "np.ndarray[Any, Any]", moments: Tensor | None) -> Row:
    """The validation metrics of one run, in single precision as Lightning keeps them."""
    metrics = summarize(confusion, model.important_class, model.class_names)
    angles = {} if moments is None else angle_summary(moments, model.important_class)
    return {name: float(np.float32(value)) for name, value in metrics.logged("val", angles).items()}


def names_in(snapshot: Path) -> list[str]:
    """The names of the runs of a snapshot; none where there is no such file, or it is damaged."""
    try:
        return list(torch.load(snapshot, map_location="cpu", weights_only=True)["names"])
    except Exception:  # no file, or one that a full disk cut off
        return []
