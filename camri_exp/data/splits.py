"""Splits that are the same on every machine: by hashes of names, not by the order of files or a random generator."""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def stable_fraction(name: str) -> float:
    """A number in [0, 1) from the name alone: the first 8 bytes of its SHA-256, big-endian, divided by 2^64.

    The name is hashed in Unicode's composed form (NFC), because file systems differ in it; names that are not UTF-8 by
    their bytes.
    """
    content = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") / 2**64


def by_hash(name: str, test: float = 0.2, val: float = 0.1) -> str:
    """The split of the image ``name``: test below 0.2, val below 0.3, else train. Other images do not affect it."""
    fraction = stable_fraction(name)
    return "test" if fraction < test else "val" if fraction < test + val else "train"


def hold_out(
    target: npt.NDArray[np.int64], units: Sequence[str], fraction: float, seed: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Hold out ``fraction`` of the units of each class, at least one; returns the indices of kept and held-out images.

    Args:
        target: classes (N,).
        units: N names; images of one unit, such as a physical sign, stay together. A unit may be a single image.
        fraction: the fraction of the units of each class.
        seed: selects the units.
    """
    by_class: defaultdict[int, set[str]] = defaultdict(set)
    for label, unit in zip(target.tolist(), units, strict=True):
        by_class[label].add(unit)
    held: set[tuple[int, str]] = set()
    for label, names in by_class.items():
        ranked = sorted(names, key=lambda name: stable_fraction(f"{seed}/{name}"))
        held.update((label, name) for name in ranked[: max(1, round(fraction * len(ranked)))])
    mask = np.array([pair in held for pair in zip(target.tolist(), units, strict=True)])
    return np.flatnonzero(~mask), np.flatnonzero(mask)
