"""Images that occur more than once: in training and evaluation, or with two labels."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
import torch
from torch import Tensor

from camri_exp.data.splits import NOUNS, SPLITS
from camri_exp.data.storage import SplitView

Groups = list[list[tuple[str, int]]]
NAMED = 8  # names in a message


def candidates_of(splits: Mapping[str, SplitView]) -> Groups:
    """Images, as (split, position), that may be equal: equal pixels have equal moments. Few images are in a group."""
    by_moments: dict[bytes, list[tuple[str, int]]] = {}
    for name, split in splits.items():
        for position, moments in enumerate(split.channel_moments):
            by_moments.setdefault(moments.tobytes(), []).append((name, position))
    return [group for group in by_moments.values() if len(group) > 1]


def _pixels(splits: Mapping[str, SplitView], group: Sequence[tuple[str, int]]) -> list[Tensor]:
    return [splits[name].images[splits[name].index[position]] for name, position in group]


def leaked(splits: Mapping[str, SplitView], candidates: Groups, split: str, earlier: Collection[str]) -> list[int]:
    """The positions in ``split`` of images that equal one of the splits ``earlier`` pixel by pixel."""
    copies = []
    for group in candidates:
        pixels = _pixels(splits, group)
        others = [image for image, (name, _) in zip(pixels, group, strict=True) if name in earlier]
        for image, (name, position) in zip(pixels, group, strict=True):
            if name == split and any(torch.equal(image, other) for other in others):
                copies.append(position)
    return sorted(copies)


def with_two_labels(splits: Mapping[str, SplitView], candidates: Groups) -> list[str]:
    """The names of the images, of all splits, that occur with two labels or more."""
    names = []
    for group in candidates:
        labels = [int(splits[name].target[position]) for name, position in group]
        if len(set(labels)) < 2:
            continue
        pixels = _pixels(splits, group)
        for k, (name, position) in enumerate(group):
            if any(labels[j] != labels[k] and torch.equal(pixels[j], pixels[k]) for j in range(len(group))):
                names.append(splits[name].names[position])
    return names


def without_copies(splits: dict[str, SplitView], drop: bool, kept_because: str) -> tuple[dict[str, SplitView], str]:
    """The splits and a line on the copies in them, empty where there are none.

    A validation image is leaked if it is a training image too, a test image if it is an image of any other split.

    Args:
        splits: train, val and test, and optionally calibration.
        drop: whether leaked images are dropped.
        kept_because: the words for images that are kept.
    """
    candidates = candidates_of(splits)
    kept, parts = dict(splits), []
    present = [name for name in SPLITS if name in splits]
    for number, name in enumerate(present[1:], start=1):
        view, positions = splits[name], leaked(splits, candidates, name, present[:number])
        if not positions:
            continue
        noun, from_training = NOUNS[name], leaked(splits, candidates, name, ["train"]) == positions
        source = "training" if from_training else " or ".join(NOUNS[earlier] for earlier in present[:number])
        parts.append(f"{len(positions)} {noun} images are {source} images too ({_named(view.names, positions)})")
        if drop:
            kept[name] = view.subset(np.setdiff1d(np.arange(len(view.target)), positions))
    if parts:
        parts = [f"{' and '.join(parts)}: {'dropped' if drop else kept_because}"]
    if names := with_two_labels(splits, candidates):
        parts.append(f"{len(names)} images have two labels ({_named(names, range(len(names)))})")
    return kept, "; ".join(parts)


def _named(names: Sequence[str], positions: Iterable[int]) -> str:
    chosen = [names[i] for i in positions]
    more = f", … ({len(chosen)})" if len(chosen) > NAMED else ""
    return ", ".join(PurePosixPath(name).name for name in chosen[:NAMED]) + more
