"""The keys of the group ``data``."""

from typing import Annotated, Literal

from camri_exp.schema.types import BatchSize, Classes, ClassName, HeldOut, Open, Path, Plugin
from camri_exp.schema.values import Range, Words


class Augmentation(Open):
    flip: bool = False
    crop: float = 0.0
    degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    resized_crop: float = 0.0


class Imbalance(Open):
    profile: Literal["class", "exponential", "step"]
    ratio: float
    class_name: Classes = None
    seed: Annotated[int, Range(least=0)] = 0


class Oversample(Open):
    class_name: Annotated[ClassName | list[ClassName], Words("an id, a name, or a list of either")]
    factor: float | list[float]
    seed: Annotated[int, Range(least=0)] = 0


class Data(Plugin):
    name: str
    root: Path | None = None
    important_class: Classes = None
    batch_size: BatchSize = 64
    image_size: Annotated[int, Range(1, 4096)] = 32
    test_fraction: HeldOut = 0.2
    val_fraction: HeldOut = 0.1
    folds: Annotated[int, Range(2, 1000)] | None = None
    fold: Annotated[int, Range(least=0)] = 0
    calibration_fraction: Annotated[float, Range(least=0, below=1)] = 0.0
    augmentation: Augmentation | None = None
    imbalance: Imbalance | None = None
    oversample: Oversample | None = None
    views: Annotated[int, Range(1, 1000)] = 1
