"""Images that look alike: another file, size or exposure of one photograph, or the next frame of a film.

An image is compared as a grey thumbnail of 16 x 16 pixels. Two images are near copies if their perceptual hashes (the
signs of the 63 lowest frequencies of the thumbnail's cosine transform, against their median) differ in at most 6 bits
*and* their thumbnails correlate by at least 0.95. ``scripts/near_copies.py`` measures what these limits find. They suit
photographs; cut-out objects of one kind, such as traffic signs, all look alike.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch.nn.functional import adaptive_avg_pool2d

from camri_exp.data.splits import NOUNS, SPLITS
from camri_exp.data.storage import SplitView

SIDE, FREQUENCIES, BLOCK = 16, 8, 512
BITS, CORRELATION = 6, 0.95
NAMED = 2  # pairs in a message
SMALLEST = 24  # smaller images, such as digits, all look alike
Array = npt.NDArray[np.float32]


def thumbnails(images: torch.Tensor) -> Array:
    """Grey thumbnails (n, 256) of uint8 images (n, C, H, W), with mean 0 and norm 1 (0 where an image is uniform)."""
    grey = adaptive_avg_pool2d(images.float().mean(1, keepdim=True), SIDE).flatten(1).numpy()
    centred = grey - grey.mean(1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True).clip(1e-3)


def hashes(small: Array) -> Array:
    """The perceptual hashes (n, 63) of thumbnails, as 1 and -1."""
    spectrum = dctn(small.reshape(-1, SIDE, SIDE), axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES]
    low = spectrum.reshape(len(small), -1)[:, 1:]
    return np.where(low > np.median(low, axis=1, keepdims=True), np.float32(1), np.float32(-1))


def near_pairs(one: Array, other: Array) -> npt.NDArray[np.int64]:
    """The pairs (n, 2) of positions in two arrays of thumbnails whose images are near copies."""
    hash_of_other, pairs = hashes(other), [np.empty((0, 2), np.int64)]
    least = hash_of_other.shape[1] - 2 * BITS
    for start in range(0, len(one), BLOCK):
        block = one[start : start + BLOCK]
        i, j = np.nonzero(hashes(block) @ hash_of_other.T >= least)
        alike = np.einsum("nd,nd->n", block[i], other[j]) >= CORRELATION
        pairs.append(np.stack([i[alike] + start, j[alike]], axis=1))
    return np.concatenate(pairs)


def look_alikes(images: torch.Tensor, names: Sequence[str]) -> list[str]:
    """The group of each image: near copies, and near copies of these, have the first of their names."""
    small, count = np.concatenate([thumbnails(block) for block in images.split(4096)]), len(names)
    pairs = near_pairs(small, small)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    first: dict[int, str] = {}
    component = connected_components(graph, directed=False)[1].tolist()
    for name, own in sorted(zip(names, component, strict=True)):
        first.setdefault(own, name)
    return [first[own] for own in component]


def of_split(split: SplitView) -> Array:
    """The thumbnails of the images of a split, read in blocks."""
    blocks = [thumbnails(split.images[index]) for index in split.index.split(4096)]
    return np.concatenate(blocks) if blocks else np.empty((0, SIDE * SIDE), np.float32)


def near_copies(splits: Mapping[str, SplitView]) -> dict[str, npt.NDArray[np.int64]]:
    """The pairs (n, 2) of positions, in each evaluation split and in training, of near copies.

    Images of less than 24 pixels are not compared.
    """
    if min(splits["train"].images.shape[2:]) < SMALLEST:
        return {}
    train = of_split(splits["train"])
    return {name: near_pairs(of_split(splits[name]), train) for name in SPLITS[1:] if name in splits}


def described(splits: Mapping[str, SplitView], pairs: Mapping[str, npt.NDArray[np.int64]]) -> str:
    """A line that counts the evaluation images with a near copy in training; empty where there is none."""
    parts = []
    for name, found in pairs.items():
        if len(found):
            images, first = np.unique(found[:, 0], return_index=True)
            shown = ", ".join(
                f"{splits[name].names[i]} and {splits['train'].names[found[k, 1]]}"
                for i, k in zip(images[:NAMED], first, strict=False)
            )
            more = ", …" if len(images) > NAMED else ""
            parts.append(f"{len(images)} of {len(splits[name].target)} {NOUNS[name]} images ({shown}{more})")
    return f"near copies in training of {'; '.join(parts)}" if parts else ""
