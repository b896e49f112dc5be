"""Config to data module and important classes."""

from omegaconf import DictConfig, OmegaConf

from camri_exp.data.base import ImageDataModule
from camri_exp.data.class_ids import resolve_class_ids
from camri_exp.instantiate import instantiate


def build_datamodule(cfg: DictConfig) -> ImageDataModule:
    """The data module of ``cfg.data``, not yet set up; ``cfg.seed`` decides the order of the training images.

    A loss with a setting ``held_out`` adapts to that share of the training images, which are then not trained on.
    """
    held_out = OmegaConf.select(cfg, "loss.held_out")
    data: ImageDataModule = instantiate(
        cfg.data, "data", seed=cfg.seed, **({} if held_out is None else {"held_out": held_out})
    )
    return data


def important_class_ids(cfg: DictConfig, data: ImageDataModule) -> list[int]:
    """Ids of the important classes: ``cfg.important_class``, or where that is null the default of the data set.

    Raises:
        UserError: there is no default, or no such class.
    """
    chosen = cfg.important_class if cfg.important_class is not None else cfg.data.get("important_class")
    if OmegaConf.is_list(chosen):
        chosen = list(chosen)
    return resolve_class_ids(chosen, data.class_names, cfg.data.name)
