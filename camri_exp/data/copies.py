"""Images that occur more than once: in training and evaluation, or with two labels."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
import torch

from camri_exp.data.storage import SplitView

Positions = npt.NDArray[np.int64]
NAMED = 8  # names in a message


def leaked(view: SplitView, earlier: Iterable[SplitView]) -> Positions:
    """The positions in ``view`` of images that equal one of the ``earlier`` splits pixel by pixel."""
    # Equal pixels have equal moments, so that the pixels of few images have to be compared.
    by_moments: dict[bytes, list[tuple[SplitView, int]]] = {}
    for split in earlier:
        for moments, index in zip(split.channel_moments, split.index.tolist(), strict=True):
            by_moments.setdefault(moments.tobytes(), []).append((split, index))
    copies = []
    for position, (moments, index) in enumerate(zip(view.channel_moments, view.index.tolist(), strict=True)):
        candidates = by_moments.get(moments.tobytes(), ())
        if any(torch.equal(view.images[index], split.images[other]) for split, other in candidates):
            copies.append(position)
    return np.array(copies, dtype=np.int64)


def with_two_labels(splits: Iterable[SplitView]) -> list[str]:
    """The names of the images, of all splits, that occur with two labels or more."""
    by_moments: dict[bytes, list[tuple[SplitView, int]]] = {}
    for split in splits:
        for position, moments in enumerate(split.channel_moments):
            by_moments.setdefault(moments.tobytes(), []).append((split, position))
    names = []
    for group in by_moments.values():
        if len({int(split.target[i]) for split, i in group}) < 2:
            continue
        pixels = [split.images[split.index[i]] for split, i in group]
        labels = [int(split.target[i]) for split, i in group]
        for k, (split, i) in enumerate(group):
            if any(labels[j] != labels[k] and torch.equal(pixels[j], pixels[k]) for j in range(len(group))):
                names.append(split.names[i])
    return names


def without_copies(splits: dict[str, SplitView], drop: bool, kept_because: str) -> tuple[dict[str, SplitView], str]:
    """The splits and a line on the copies in them, empty where there are none.

    A validation image is leaked if it is a training image too, a test image if it is a training or validation image.

    Args:
        splits: train, val and test.
        drop: whether leaked images are dropped.
        kept_because: the words for images that are kept.
    """
    train, val, test = (splits[name] for name in ("train", "val", "test"))
    kept, parts = dict(splits), []
    for name, view, earlier in (("val", val, [train]), ("test", test, [train, val])):
        positions = leaked(view, earlier)
        if not len(positions):
            continue
        noun = "validation" if name == "val" else "test"
        source = "training" if len(leaked(view, [train])) == len(positions) else "training or validation"
        parts.append(f"{len(positions)} {noun} images are {source} images too ({_named(view.names, positions)})")
        if drop:
            kept[name] = view.subset(np.setdiff1d(np.arange(len(view.target)), positions))
    if parts:
        parts = [f"{' and '.join(parts)}: {'dropped' if drop else kept_because}"]
    if names := with_two_labels(splits.values()):
        parts.append(f"{len(names)} images have two labels ({_named(names, range(len(names)))})")
    return kept, "; ".join(parts)


def _named(names: Sequence[str], positions: Iterable[int]) -> str:
    chosen = [names[i] for i in positions]
    more = f", … ({len(chosen)})" if len(chosen) > NAMED else ""
    return ", ".join(PurePosixPath(name).name for name in chosen[:NAMED]) + more
