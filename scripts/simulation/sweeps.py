"""Synthetic sweeps: finished runs in memory, whose true gains are known.

A run r of a configuration has the recall ``base + gain + test images + run + configuration and run``: the noise of the
test images is common to all runs, that of a run to its validation and test results, and the sample of validation images
to all runs of one seed. Hits on the important test images are drawn one by one, so that intervals for new images can be
judged too; accuracy is drawn as a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from camri_exp.reporting.runs import ImportantHits, Run
from camri_exp.results import SplitMetrics

Array = npt.NDArray[Any]
CLASSES = ("important", "other")


@dataclass(frozen=True)
class Noise:
    """The sizes and standard deviations of a data set, as measured on finished studies.

    ``images`` of the important class on test, in ``groups`` groups (0: independent); ``validation`` images of it.
    ``recall`` is the baseline's; ``image`` is the spread of the logit of the recall between images (or groups), and
    ``run`` its spread between runs. ``accuracy`` is the spread of accuracy between runs, and ``common`` the share of
    its variance that validation and test have in common.
    """

    images: int
    validation: int
    recall: float
    image: float
    run: float
    accuracy: float
    common: float
    groups: int = 0


NOISES = {
    "digits": Noise(35, 18, 0.9, 2.0, 0.45, 0.006, 0.6),
    "cifar10": Noise(1000, 500, 0.73, 2.0, 0.10, 0.0025, 0.95),
    "gtsrb": Noise(90, 60, 0.8, 2.0, 0.80, 0.006, 0.5, groups=3),
}


@dataclass(frozen=True)
class StoredRun(Run):
    """A run whose arrays are in memory instead of in ``predictions.npz``."""

    arrays: Mapping[str, Array] = field(default_factory=dict)
    hits: ImportantHits | None = None

    def predictions(self, *names: str) -> list[Array] | None:
        return [self.arrays[name] for name in names] if set(names) <= set(self.arrays) else None

    def important_hits(self, important: Sequence[int]) -> ImportantHits | None:
        return self.hits if self.hits is not None else super().important_hits(important)


def stored_run(
    loss: str,
    seed: int,
    setting: int,
    val: tuple[float, float],
    test: tuple[float, float],
    hits: ImportantHits | None = None,
    arrays: Mapping[str, Array] | None = None,
) -> StoredRun:
    """A run of configuration ``setting`` with (recall, accuracy) on validation and on test."""
    metrics = {
        split: SplitMetrics(accuracy, recall, 0.5, recall, dict.fromkeys(CLASSES, recall))
        for split, (recall, accuracy) in (("val", val), ("test", test))
    }
    return StoredRun(
        folder=Path(f"{loss}-{setting}-{seed}"),
        data="synthetic",
        model="none",
        loss=loss,
        seed=seed,
        important=(0,),
        class_names=CLASSES,
        setting=f"{loss}-{setting}",
        class_free=False,
        parameters={"setting": setting},
        overrides=(),
        metrics=metrics,
        fit_seconds=0.0,
        arrays=arrays or {},
        hits=hits,
    )


def sweep(
    rng: np.random.Generator,
    noise: Noise,
    seeds: int,
    settings: int,
    gain: float = 0.0,
    loss_of_accuracy: float = 0.0,
    images: Array | None = None,
) -> list[StoredRun]:
    """A baseline of one configuration and ``settings`` configurations of two other losses, all with the same seeds.

    Args:
        gain: what the first configuration of the losses finds more, in the logit of the recall; the others gain 0.
        loss_of_accuracy: what it costs; the others cost 0.
        images: the logits of the test images, where several sweeps are tested on the same ones.
    """
    size = noise.groups or noise.images
    logits = draw_images(rng, noise) if images is None else images
    member = np.arange(noise.images) * size // noise.images
    target = np.zeros(noise.images, dtype=int)
    validation = logit(noise.recall) + noise.image * rng.normal(size=(seeds, 1, noise.validation))
    count = settings + 1
    better = np.zeros(count)
    better[1] = gain
    shift = better[:, None] + noise.run * rng.normal(size=(count, seeds))
    found = rng.random((count, seeds, noise.images)) < expit(logits[member] + shift[..., None])
    seen = rng.random((count, seeds, noise.validation)) < expit(validation.swapaxes(0, 1) + shift[..., None])
    common, own = noise.accuracy * np.sqrt(noise.common), noise.accuracy * np.sqrt(1 - noise.common)
    level = 0.9 - np.where(np.arange(count) == 1, loss_of_accuracy, 0.0)[:, None]
    level = level + common * rng.normal(size=(count, seeds))
    accuracy = [level + own * rng.normal(size=(count, seeds)) for _ in range(2)]
    names, groups = np.arange(noise.images), member if noise.groups else None
    return [
        stored_run(
            "ce" if k == 0 else ("camri", "focal")[k % 2 == 0],
            seed,
            k,
            (float(seen[k, seed].mean()), float(accuracy[0][k, seed])),
            (float(found[k, seed].mean()), float(accuracy[1][k, seed])),
            ImportantHits(found[k, seed], target, names, groups),
        )
        for k in range(count)
        for seed in range(seeds)
    ]


def draw_images(rng: np.random.Generator, noise: Noise) -> Array:
    """The logits of the recall of each test image, or of each group."""
    return logit(noise.recall) + noise.image * rng.normal(size=noise.groups or noise.images)


@dataclass(frozen=True)
class Scores:
    """Sizes and noise of sweeps with scores, for threshold moving: K classes, the first one important."""

    classes: int = 4
    validation: int = 1500
    test: int = 2000
    signal: float = 1.6
    run: float = 0.12


def sweep_of_moved_thresholds(rng: np.random.Generator, seeds: int, bias: float, sizes: Scores) -> list[StoredRun]:
    """A baseline, and a loss that differs from it in a constant added to the score of the important class alone.

    Half of ``bias`` is subtracted from the baseline's score and half is added to that of the loss, so that both are
    equally accurate.
    """
    eye = np.eye(sizes.classes)
    target = {"val": rng.integers(sizes.classes, size=sizes.validation)}
    target["test"] = rng.integers(sizes.classes, size=sizes.test)
    features = {split: sizes.signal * eye[t] + rng.normal(size=(len(t), sizes.classes)) for split, t in target.items()}
    runs = []
    for k, loss in enumerate(("ce", "camri")):
        for seed in range(seeds):
            weight = eye + sizes.run * rng.normal(size=eye.shape)
            offset = sizes.run * rng.normal(size=sizes.classes) + (k - 0.5) * bias * eye[0]
            arrays, metrics = {}, {}
            for split, t in target.items():
                scores = features[split] @ weight + offset
                hit = scores.argmax(1) == t
                metrics[split] = float(hit[t == 0].mean()), float(hit.mean())
                arrays |= {f"{split}_scores": scores, f"{split}_target": t}
            runs.append(stored_run(loss, seed, k, metrics["val"], metrics["test"], arrays=arrays))
    return runs
