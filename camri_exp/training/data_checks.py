"""Checks of a run's data before training: what would show only as NaN later, or as two experiments in one."""

import sys
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf

from camri_exp.cli import CONFIGS
from camri_exp.data.base import ImageDataModule
from camri_exp.data.counts import count_of
from camri_exp.data.splits import NOUNS, SPLITS
from camri_exp.errors import UserError
from camri_exp.losses.base import Loss
from camri_exp.models.metadata import ModelMetadata
from camri_exp.schema.plugins import target_of

ROUNDING = 1e-6  # means of the same images differ by less on another machine
MOST_REPORTED = 5  # important classes
EFFECTS = {  # of a split without images of an important class
    "val": "the checkpoint and the threshold cannot be chosen by its recall",
    "test": "its recall cannot be reported",
}


def report_important_classes(data: ImageDataModule, metadata: ModelMetadata) -> None:
    """Print how many images of each important class the splits have, and how well its recall will be known."""
    present = [split for split in SPLITS if split in data.splits]
    for k in metadata.important_class[:MOST_REPORTED]:
        counts = {split: count_of(data.splits[split], k) for split in present}
        numbers = ", ".join(f"{count} {NOUNS[split]}" for split, count in counts.items())
        grouped = " (groups)" if any(count.groups is not None for count in counts.values()) else ""
        known = " and ".join(
            f"±{100 * counts[split].margin:.0f} pp on {NOUNS[split]}" for split in EFFECTS if counts[split].images
        )
        line = f"{metadata.class_names[k]!r}: {numbers} images{grouped}"
        print(line + (f"; its recall will be known to about {known}." if known else "."), file=sys.stderr)
        for split, effect in EFFECTS.items():
            if not counts[split].images:
                absent = f"the {NOUNS[split]} split has no image of the important class {metadata.class_names[k]!r}"
                print(f"{absent}: {effect}.", file=sys.stderr)


def check_mixing(cfg: DictConfig, data: ImageDataModule, loss: Loss) -> None:
    """Check that the run can train on mixed images.

    Raises:
        UserError: a loss that takes no soft targets, or a term in it that takes none, or the features of a frozen
            backbone.
    """
    if not data.mixing:
        return
    if cfg.model.frozen:
        raise UserError("data.mixup and data.cutmix mix images; model.frozen=true trains on features. Use 0 for both.")
    if cfg.loss.get("partial_auc") is not None:
        raise UserError(
            "data.mixup and data.cutmix give every image two classes, which loss.partial_auc does not take. Use 0 for "
            "both, or omit loss.partial_auc."
        )
    if not loss.soft_targets:
        known = sorted(path.stem for path in (CONFIGS / "loss").glob("*.yaml") if _takes_soft_targets(path))
        raise UserError(
            f"data.mixup and data.cutmix give every image two classes, which loss={cfg.loss.name} does not take. Use 0 "
            f"for both, or one of {', '.join(known)}."
        )


def _takes_soft_targets(path: Path) -> bool:
    target = target_of(OmegaConf.select(OmegaConf.load(path), "_target_"), f"loss={path.stem}")
    return getattr(target, "soft_targets", False)


def check_same_data(before: ModelMetadata, now: ModelMetadata, resume: object) -> None:
    """Check that a resumed run finds the training images that it was started with.

    Raises:
        UserError: the number of images of a class, or the mean or standard deviation of the pixels, is another one.
    """
    if before.class_names != now.class_names:
        return  # reported when the weights are loaded
    if before.class_counts != now.class_counts:
        detail = f"{sum(before.class_counts)} training images then, {sum(now.class_counts)} now"
        if sum(before.class_counts) == sum(now.class_counts):
            detail = "other numbers of training images per class"
    elif not np.allclose([*before.mean, *before.std], [*now.mean, *now.std], rtol=0, atol=ROUNDING):
        detail = "other pixels: their mean or standard deviation changed"
    else:
        return
    raise UserError(
        f"resume={resume}: the data changed since the run was started ({detail}), so that the run would be two "
        "experiments in one. Restore the data, or train a new run."
    )
