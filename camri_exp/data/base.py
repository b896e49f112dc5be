"""The base of the data modules: a data set as uint8 tensors in memory, and batches gathered from it by index."""

import hashlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from camri_exp.data import imbalance as profiles
from camri_exp.data import oversample as oversampling
from camri_exp.data.augment import Augmentation
from camri_exp.data.batches import Batches
from camri_exp.data.cache import cache_folder
from camri_exp.data.copies import without_copies
from camri_exp.data.near_copies import described, near_copies
from camri_exp.data.preprocessing import ModelPreprocessing, Preprocessing
from camri_exp.data.splits import HELD_OUT, SPLITS, hold_out
from camri_exp.data.storage import SplitView, joined
from camri_exp.data.transforms import Mixing, Names, transform_of
from camri_exp.errors import UserError
from camri_exp.text import printable


class ImageDataModule(Batches, ABC):
    """Base of all data sets. A subclass loads its splits in ``load``, and downloads in ``prepare_data`` if it can.

    After ``setup`` it has ``class_names``, ``class_counts`` (of the training split), ``channels``, ``image_size``,
    ``mean`` and ``std`` (one value per channel, for pixels in [0, 1]), and ``fingerprint``, a hash of the names,
    classes and contents of the test images.

    Args:
        root: the folder of the data set.
        batch_size: images per batch and process, in training and evaluation.
        image_size: height and width of the images.
        calibration_fraction: the fraction of images, or of groups, that neither train nor choose anything: promises on
            the recall are calibrated on them. The other evaluation images stay the same.
        seed: determines the order of the training images.
        augment: whether training images are changed at random, as ``augmentation`` describes.
        augmentation: the fields of ``Augmentation``.
        transform: transforms of ``torchvision.transforms.v2`` after them, by name (``transform_of``).
        mixup, cutmix: the arguments of ``Mixing``.
        imbalance: the arguments of ``camri_exp.data.imbalance.kept``, to use fewer training images of some classes.
        oversample: the arguments of ``camri_exp.data.oversample.repeated``, to draw training images of some classes
            more often. ``class_counts`` stay those of different images.
        held_out: the share of the training images, or of their groups, that becomes the split ``held_out``; a loss that
            adapts to images measures on them.
        device: where the images are stored: ``cpu``, or ``auto`` for the GPU that trains, if they take less than half
            of its free memory.
        cache_dir: the folder of decoded images; null is ``.camri_cache`` in the folder of the data set.
        views: with frozen features, the number of augmented views of each training image of which features are
            stored; 1 is the image itself, without augmentation.
        normalize: by the mean and standard deviation of the training images (``data``), or by those that the model
            expects (``model``). null: ``model`` with pretrained weights, else ``data``.

    Raises:
        ValueError: an invalid argument.
    """

    drop_leaked = False  # whether evaluation images that are training images too are dropped
    leaked_kept = "kept"  # what is said where they are not
    searches_near_copies = False  # whether evaluation images that look like a training image are counted
    expected_classes: Sequence[str] | None = None  # of a model to be evaluated: the data may lack some of them
    files_below: Path | None = None  # the folder of the image files, if each image is one and named by its path

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 64,
        image_size: int = 32,
        calibration_fraction: float = 0.0,
        seed: int = 0,
        augment: bool = True,
        augmentation: Mapping[str, Any] | None = None,
        transform: Names | None = None,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        imbalance: Mapping[str, Any] | None = None,
        device: str = "auto",
        cache_dir: str | None = None,
        views: int = 1,
        normalize: Literal["data", "model"] | None = None,
        oversample: Mapping[str, Any] | None = None,
        held_out: float = 0.0,
    ) -> None:
        super().__init__()
        if device not in ("auto", "cpu"):
            raise ValueError(f"device={device}; expected auto or cpu")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}; expected at least 1")
        if not 0 <= calibration_fraction < 1:
            raise ValueError(f"calibration_fraction={calibration_fraction}; expected at least 0 and less than 1")
        if imbalance is not None:
            profiles.check(imbalance)
        if oversample is not None:
            oversampling.check(oversample)
        self.root, self.batch_size, self.image_size, self.seed = root, batch_size, image_size, seed
        transforms = transform_of(transform)
        changes = Augmentation(**augmentation or {}, transforms=transforms, image_size=image_size)
        self.augments, self.augmentation = augment, changes if augment else Augmentation()
        self.mixing = Mixing(mixup, cutmix) if augment else Mixing()
        self.imbalance, self.device, self.cache_dir, self.views = imbalance, device, cache_dir, views
        self.calibration_fraction, self.oversample, self.held_out = calibration_fraction, oversample, held_out
        self.normalize, self.of_model = normalize, cast(ModelPreprocessing | None, None)
        self.splits: dict[str, SplitView] = {}

    @abstractmethod
    def load(self) -> dict[str, SplitView]:
        """Return the splits ``train``, ``val``, ``test`` and, if wanted, ``calibration``, and set ``class_names``."""

    def adopt(self, own: ModelPreprocessing, geometry: bool = True) -> None:
        """Prepare images as a pretrained model expects, where no argument says otherwise. Call it before ``setup``.

        Args:
            own: the preprocessing of the model.
            geometry: whether to adopt the size and the cut of the images too, or the statistics alone.
        """
        self.of_model = own

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image file becomes an image of this data set."""
        return Preprocessing(self.image_size, self.channels)

    def setup(self, stage: str | None = None) -> None:
        if self.splits:
            return
        splits, line = without_copies(self.load(), self.drop_leaked, self.leaked_kept)
        if line:
            print(printable(f"{line}."), file=sys.stderr)
        if self.searches_near_copies and (line := described(splits, near_copies(splits))):
            print(printable(f"{line}."), file=sys.stderr)
        self.fingerprint = _fingerprint(splits["test"], self.class_names)
        train = splits["train"]
        if self.imbalance is not None:
            train = train.subset(profiles.kept(train.target.numpy(), self.class_names, **self.imbalance))
        if self.held_out:
            units = train.names if train.groups is None else train.groups
            parts = hold_out(train.target.numpy(), units, {HELD_OUT: self.held_out})
            splits, train = splits | {HELD_OUT: train.subset(parts[HELD_OUT])}, train.subset(parts["train"])
        if self.expected_classes is None:
            self._check(splits | {"train": train})
        self.class_counts: list[int] = torch.bincount(train.target, minlength=len(self.class_names)).tolist()
        self.channels = train.images.shape[1]
        self.splits = splits | {"train": train}
        if self.of_model is not None and self.normalize != "data":
            self.mean, self.std = self.of_model.statistics(self.channels)
        elif len(train.target):  # not for a labelled set for evaluation
            self.mean, self.std = _statistics(train.channel_moments)

    def _check(self, splits: dict[str, SplitView]) -> None:
        missing = set(range(len(self.class_names))) - set(splits["train"].target.tolist())
        if missing:
            names = ", ".join(repr(self.class_names[i]) for i in sorted(missing)[:5])
            raise UserError(f"no training image of {names} in {self.root}. Every class needs at least one.")
        for name in ("val", "test", *(["calibration"] if self.calibration_fraction else [])):
            if name not in splits or not len(splits[name].target):
                raise UserError(f"no image of the {name} split in {self.root}. Add at least one.")

    def join_splits(self) -> None:
        """Add the split ``all``: the images of all others."""
        self.splits["all"] = joined([self.splits[name] for name in (*SPLITS, HELD_OUT) if name in self.splits])

    def names(self, split: str) -> Sequence[str]:
        return self.splits[split].names

    def groups(self, split: str) -> Sequence[str] | None:
        return self.splits[split].groups

    def images(self, split: str, index: Sequence[int] | slice = slice(None)) -> Tensor:
        """uint8 images (n, C, H, W) of a split; ``index`` selects positions in the split."""
        view = self.splits[split]
        return view.images[view.index[index]]

    def files(self, split: str, index: slice) -> list[Path] | None:
        """The image files of ``images(split, index)``; None where the images are not files."""
        return None if self.files_below is None else [self.files_below / name for name in self.names(split)[index]]

    @property
    def cache_folder(self) -> Path:
        """The folder of what is computed from the images once, such as their features."""
        root = None if self.root is None else Path(self.root)
        return cache_folder(self.cache_dir, root.parent if root is not None and root.is_file() else root)


def _fingerprint(split: SplitView, class_names: Sequence[str]) -> str:
    """A hash of names, classes and file contents, in any order: other images have another one."""
    rows = zip(split.names, split.target.tolist(), split.contents.tolist(), strict=True)
    lines = sorted(f"{name}\0{class_names[label]}\0{content}" for name, label, content in rows)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _statistics(moments: npt.NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the pixels, from the mean and mean square of each image (N, 2C)."""
    mean, square = np.split(moments.mean(axis=0), 2)
    return tuple(mean.tolist()), tuple(np.sqrt((square - mean**2).clip(1e-6)).tolist())
