"""Metadata of a model: its task, preprocessing and class names, stored in every checkpoint."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Protocol

from omegaconf import DictConfig
from pydantic import AfterValidator, Field

from camri_exp.data.preprocessing import (
    SMALLEST_CROP,
    Interpolation,
    ModelPreprocessing,
    Preprocessing,
    Resize,
    check_range,
)
from camri_exp.records import Record

LossFact = int | list[int]  # number of classes, ids of the important classes, or training images per class


class DataFacts(Protocol):
    """The attributes of a data module after ``setup`` that a model depends on."""

    class_names: list[str]
    class_counts: list[int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def preprocessing(self) -> Preprocessing: ...


@dataclass(frozen=True)
class FrozenBackbone:
    """The backbone of a model whose checkpoint holds the head alone.

    Attributes:
        digest: a hash of its architecture and weights.
        file: where its weights are stored.
        features: D, the number of its outputs.
        parameters: the number of its parameters.
        embedding: the outputs of the linear layer that ends it, where its weights have one.
    """

    digest: str
    file: str
    features: int
    parameters: int
    embedding: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelMetadata(Record):
    """The task, the preprocessing and the class names of a model.

    ``mean`` and ``std`` have one value per channel, for pixels in [0, 1]. ``channels``, ``image_size``, ``resize``,
    ``crop_fraction``, ``interpolation`` and ``range`` are those of ``Preprocessing``. ``frozen`` is the backbone
    that the checkpoint does not contain, where it was not trained.
    """

    data: str
    loss: str
    model: str
    class_names: list[str]
    class_counts: list[int]
    important_class: list[int]
    channels: int
    image_size: int
    mean: list[float]
    std: list[float]
    frozen: FrozenBackbone | None = None
    # Checkpoints of earlier versions have no such fields: their images were squeezed.
    resize: Resize = "squeeze"
    crop_fraction: Annotated[float, Field(ge=SMALLEST_CROP, le=1)] = 1.0
    interpolation: Interpolation = "bilinear"
    range: Annotated[tuple[float, float], AfterValidator(check_range)] | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        """How image files become the input of the model."""
        return Preprocessing(
            self.image_size, self.channels, self.resize, self.crop_fraction, self.interpolation, self.range
        )

    @property
    def own_preprocessing(self) -> ModelPreprocessing:
        """What data for this model must be prepared like."""
        return ModelPreprocessing(
            self.resize, self.crop_fraction, self.interpolation, tuple(self.mean), tuple(self.std)
        )

    @property
    def important_class_names(self) -> list[str]:
        return [self.class_names[k] for k in self.important_class]


def metadata_of(cfg: DictConfig, data: DataFacts, important_class: Sequence[int]) -> ModelMetadata:
    """The metadata of a model to be trained on ``data``."""
    return ModelMetadata(
        data=cfg.data.name,
        loss=cfg.loss.name,
        model=cfg.model.name,
        class_names=list(data.class_names),
        class_counts=[int(count) for count in data.class_counts],
        important_class=list(important_class),
        **asdict(data.preprocessing),
        mean=[float(value) for value in data.mean],
        std=[float(value) for value in data.std],
    )


def facts_for_losses(metadata: ModelMetadata) -> dict[str, LossFact]:
    """The facts of the task that a loss may declare in ``needs``."""
    return {
        "num_classes": len(metadata.class_names),
        "important_class": metadata.important_class,
        "class_counts": metadata.class_counts,
    }
