"""Fewer training images of some classes, to compare losses on imbalanced data."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from camri_exp.data.class_ids import resolve_class_ids
from camri_exp.data.settings import check_settings
from camri_exp.errors import UserError

PROFILES = ("class", "exponential", "step")


def kept(
    target: npt.NDArray[np.int64],
    class_names: list[str],
    profile: str,
    ratio: float,
    class_name: int | str | list[int | str] | None = None,
    seed: int = 0,
) -> npt.NDArray[np.int64]:
    """Sorted indices of the training images that are kept.

    Args:
        target: classes (N,).
        class_names: the names of all classes, by id.
        profile: ``class``: one class (or several) keeps 1 / ratio of its images. ``exponential``: class k of K keeps
            ratio^(-k / (K - 1)) of its images (Cui et al. 2019). ``step``: the second half of the classes keeps
            1 / ratio (Buda et al. 2018).
        ratio: at least 1.
        class_name: for ``profile=class`` only: an id, a name, or a list.
        seed: selects the images. The images kept at a larger ratio are among those kept at a smaller one.

    Raises:
        UserError: an unknown profile or class, a class for a profile that has none, or a ratio below 1.
    """
    share = shares(len(class_names), profile, ratio)
    if (profile == "class") != (class_name is not None):
        raise UserError(
            f"data.imbalance.profile={profile} with class_name={class_name}; expected one class or a list "
            "for profile=class, and none for the others."
        )
    if profile == "class":
        share[resolve_class_ids(class_name, class_names, "data", key="data.imbalance.class_name")] = 1 / ratio
    mask = np.zeros(len(target), dtype=bool)
    for label in range(len(class_names)):
        members = np.flatnonzero(target == label)
        order = np.random.default_rng([seed, label]).permutation(members)
        mask[order[: max(1, round(share[label] * len(members)))]] = True
    return np.flatnonzero(mask)


def check(settings: Mapping[str, object]) -> None:
    """Check that ``settings`` are arguments of ``kept``, before any image is read.

    Raises:
        ValueError: an unknown or a missing key.
    """
    check_settings("imbalance", kept, settings, "profile, ratio and optionally class_name and seed")


def shares(num_classes: int, profile: str, ratio: float) -> npt.NDArray[np.float64]:
    """The fraction (K,) of its images that each class keeps.

    Raises:
        UserError: an unknown profile, or a ratio below 1.
    """
    if profile not in PROFILES:
        raise UserError(f"data.imbalance.profile={profile}; expected one of {', '.join(PROFILES)}.")
    if not isinstance(ratio, int | float) or not ratio >= 1:
        raise UserError(
            f"data.imbalance.ratio={ratio}; expected at least 1, the largest class count over the smallest."
        )
    rank = np.arange(num_classes)
    if profile == "exponential":
        return ratio ** (-rank / max(1, num_classes - 1))
    if profile == "step":
        return np.where(rank < (num_classes + 1) // 2, 1.0, 1 / ratio)
    return np.ones(num_classes)
