"""Config to model: backbone, head, loss, and the LightningModule around them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import torch
from omegaconf import DictConfig
from torch import nn

from camri_exp.errors import UserError
from camri_exp.instantiate import explained, instantiate, target_of
from camri_exp.losses.base import Loss
from camri_exp.losses.partial_auc import PartialAUC
from camri_exp.models import backbones
from camri_exp.models.classifier import Classifier, FeatureClassifier
from camri_exp.models.fine_tuning import FineTuning
from camri_exp.models.metadata import LossFact, ModelMetadata, facts_for_losses

NOT_OF_BACKBONES = {  # keys of the group model
    "freeze_epochs", "channels_last", "compile", "frozen", "bundle", *(field.name for field in fields(FineTuning))
}  # fmt: skip
Model = TypeVar("Model", bound=Classifier)


def build_classifier(
    cfg: DictConfig,
    metadata: ModelMetadata,
    optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
    scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None,
) -> Classifier:
    """The classifier of ``cfg`` for the data that ``metadata`` describes. Without an optimizer it can only predict.

    Raises:
        UserError: an unknown or invalid option of the backbone, head or loss, or a head whose scores are not those that
            the loss works on.
    """
    frozen, options = metadata.frozen, backbone_options(cfg)
    if frozen is not None:  # a linear layer of its own is part of what is frozen
        options["embedding"] = frozen.embedding
    backbone, features = backbones.create(channels=metadata.channels, image_size=metadata.image_size, **options)
    if frozen is not None:
        backbone, features = backbones.with_embedding(backbone, features, cfg.model.embedding)
    if cfg.model.compile:
        backbone.compile()
    return _assembled(Classifier, cfg, metadata, backbone, features, optimizer, scheduler)


def build_feature_classifier(
    cfg: DictConfig,
    metadata: ModelMetadata,
    optimizer: Callable[[Any], torch.optim.Optimizer] | None = None,
    scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None,
) -> FeatureClassifier:
    """The part of the classifier of ``cfg`` that is trained on the features of ``metadata.frozen``.

    Raises:
        UserError: see ``build_classifier``.
    """
    assert metadata.frozen is not None
    backbone, features = backbones.with_embedding(nn.Identity(), metadata.frozen.features, cfg.model.embedding)
    return _assembled(FeatureClassifier, cfg, metadata, backbone, features, optimizer, scheduler)


def backbone_options(cfg: DictConfig) -> dict[str, Any]:
    """The arguments of ``backbones.create`` in ``cfg.model``.

    Raises:
        UserError: an option that backbones do not have.
    """
    options = {str(key): value for key, value in cfg.model.items() if key not in NOT_OF_BACKBONES}
    if unknown := set(options) - set(inspect.signature(backbones.create).parameters):
        raise UserError(f"model.{min(unknown)}: backbones have no such option. Omit it.")
    return options


def _assembled(
    kind: type[Model],
    cfg: DictConfig,
    metadata: ModelMetadata,
    backbone: nn.Module,
    features: int,
    optimizer: Callable[[Any], torch.optim.Optimizer] | None,
    scheduler: Callable[[torch.optim.Optimizer, int], Any] | None,
) -> Model:
    """A classifier of this kind around ``backbone``, with the head and the loss of ``cfg``."""
    head = build_head(cfg, features, len(metadata.class_names))
    loss = build_loss(cfg, facts_for_losses(metadata))
    _check_pair(head, loss, cfg)
    return kind(
        backbone,
        head,
        loss,
        metadata,
        partial_auc=build_partial_auc(cfg, loss, metadata),
        optimizer=optimizer,
        scheduler=scheduler,
        freeze_epochs=cfg.model.freeze_epochs,
        fine_tuning=FineTuning.of(cfg.model),
        channels_last=cfg.model.channels_last,
        log_every_n_steps=cfg.trainer.log_every_n_steps,
    )


def build_head(cfg: DictConfig, in_features: int, num_classes: int) -> nn.Module:
    """The head of ``cfg``: features (N, in_features) to scores (N, num_classes)."""
    return instantiate(cfg.head, "head", in_features=in_features, num_classes=num_classes)


def build_loss(cfg: DictConfig, facts: Mapping[str, LossFact]) -> Loss:
    """The loss of ``cfg``, constructed with those of ``facts`` that it declares in ``needs``.

    Raises:
        UserError: the loss needs a fact that is not known, or its settings are invalid.
    """
    where = f"loss={cfg.loss.name}"
    needs: frozenset[str] = getattr(target_of(cfg.loss, where), "needs", frozenset())
    if unknown := sorted(needs - set(facts)):
        raise UserError(f"{where} needs {unknown[0]}, which is not known here. Known: {', '.join(facts)}.")
    declared: dict[str, Any] = {name: facts[name] for name in sorted(needs)}
    return instantiate(cfg.loss, where, **declared)


def build_partial_auc(cfg: DictConfig, loss: Loss, metadata: ModelMetadata) -> PartialAUC | None:
    """The term of ``loss.partial_auc``, which is added to the loss; None without that key.

    Raises:
        UserError: invalid settings, or no class that is not important.
    """
    settings = cfg.loss.get("partial_auc")
    if settings is None:
        return None
    scale = getattr(loss, "scale", 1.0) if loss.score_type == "cosine" else 1.0
    with explained("loss.partial_auc"):
        return PartialAUC(len(metadata.class_names), metadata.important_class, scale=scale, **settings)


def _check_pair(head: nn.Module, loss: nn.Module, cfg: DictConfig) -> None:
    given, expected = getattr(head, "score_type", None), getattr(loss, "score_type", None)
    if given != expected:
        raise UserError(
            f"loss={cfg.loss.name} works on {expected} scores, but {type(head).__name__} gives {given} scores. "
            "Omit the head: every loss selects the one that it needs."
        )
