"""The data of a checkpoint: set up as in its training, with the preprocessing of the model."""

from pathlib import Path

from omegaconf import DictConfig

from camri_exp.data.base import ImageDataModule
from camri_exp.data.factory import build_datamodule
from camri_exp.errors import UserError
from camri_exp.models.metadata import ModelMetadata


def data_of_checkpoint(cfg: DictConfig, metadata: ModelMetadata, path: Path, root: str | None) -> ImageDataModule:
    """The data module of the config of a checkpoint, set up; ``root`` replaces the data folder used in training.

    Raises:
        UserError: the data has other classes than the checkpoint at ``path``.
    """
    if root is not None:
        cfg.data.root = root
    data = build_datamodule(cfg)
    if root is not None:
        data.expected_classes = metadata.class_names
    data.adopt(metadata.own_preprocessing)
    data.augments = False  # else the larger images for random crops would be decoded too
    data.prepare_data()
    data.setup("test")
    data.join_splits()
    if list(data.class_names) != metadata.class_names:
        trained, here = metadata.class_names, list(data.class_names)
        raise UserError(
            f"{path} was trained on {len(trained)} classes ({', '.join(trained[:3])}, …), the data in {cfg.data.root} "
            f"has {len(here)} ({', '.join(here[:3])}, …). Give data of the same classes: data.root=DIR"
        )
    return data
