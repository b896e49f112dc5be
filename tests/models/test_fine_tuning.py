"""Learning rates of the backbone by layer, weight decay without norms, and the warm-up after the thaw."""

import pytest
import timm
import torch
from timm.optim import create_optimizer_v2
from torch import nn

from camri_exp.errors import UserError
from camri_exp.losses import CrossEntropyLoss
from camri_exp.models.classifier import Classifier
from camri_exp.models.fine_tuning import FineTuning, freeze, warmed_up
from camri_exp.models.heads import LinearHead
from camri_exp.training.schedules import one_cycle
from tests.helpers.classifiers import METADATA, small_classifier

NAME = "tf_efficientnet_lite0"


def adamw(parameters) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)


def classifier(embedding: int | None = None) -> Classifier:
    backbone = timm.create_model(NAME, num_classes=0)
    features = backbone.num_features
    if embedding:
        backbone, features = nn.Sequential(backbone, nn.Linear(features, embedding)), embedding
    return Classifier(backbone, LinearHead(features, 6), CrossEntropyLoss(), METADATA)


def rates(optimizer: torch.optim.Optimizer, named) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of each parameter, by its name."""
    names = {id(parameter): name for name, parameter in named}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_the_defaults_leave_one_group_of_all_parameters():
    model = classifier()
    optimizer = FineTuning().optimizer(adamw, model, model.backbone)
    assert len(optimizer.param_groups) == 1
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in model.parameters()]


def test_the_rates_and_decays_are_those_of_timms_own_optimizer():
    model, decay = classifier(), 0.75
    how = FineTuning(backbone_lr=0.1, layer_decay=decay, decay_norms=False)
    ours = rates(how.optimizer(adamw, model, model.backbone), model.named_parameters())
    whole = timm.create_model(NAME, num_classes=6)
    reference = create_optimizer_v2(whole, opt="adamw", lr=1e-3, weight_decay=0.05, layer_decay=decay)
    for group in reference.param_groups:  # timm's schedulers apply the scale later
        group["lr"] *= group["lr_scale"]
    expected = rates(reference, whole.named_parameters())
    assert len(ours) == len(expected)
    for name, (lr, weight_decay) in expected.items():
        if name.startswith("classifier"):
            assert ours[name.replace("classifier", "head")] == (1e-3, weight_decay)
        else:  # for timm the classifier is a layer above the backbone, here it is none
            assert ours[f"backbone.{name}"] == pytest.approx((0.1 * lr / decay, weight_decay))
    assert ours["backbone.blocks.0.0.bn1.weight"][1] == 0
    assert ours["backbone.conv_head.weight"] == (pytest.approx(1e-4), 0.05)


def test_a_linear_layer_after_the_backbone_is_trained_like_the_head():
    model = classifier(embedding=5)
    how = FineTuning(backbone_lr=0.5)
    found = rates(how.optimizer(adamw, model, model.backbone), model.named_parameters())
    assert {lr for name, (lr, _) in found.items() if name.startswith(("head", "backbone.1."))} == {1e-3}
    assert {lr for name, (lr, _) in found.items() if name.startswith("backbone.0.")} == {5e-4}
    assert len(found) == len(list(model.parameters()))


def test_norms_and_biases_have_no_weight_decay_where_that_is_asked_for():
    model = small_classifier()
    found = rates(FineTuning(decay_norms=False).optimizer(adamw, model, model.backbone), model.named_parameters())
    for name, parameter in model.named_parameters():
        assert found[name] == (1e-3, 0.0 if parameter.ndim == 1 else 0.05)


def test_layers_whose_multiple_is_small_are_not_trained_nor_their_norms():
    model = classifier()
    how = FineTuning(layer_decay=0.5, freeze_below=0.1)
    optimizer = how.optimizer(adamw, model, model.backbone)
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    model.requires_grad_(True).train()  # as at the start of an epoch
    freeze(model.backbone, trained)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (id(parameter) in trained), name
    before = {name: value.clone() for name, value in model.backbone.named_buffers()}
    model(torch.rand(4, 3, 32, 32) * 255).sum().backward()
    changed = {name for name, value in model.backbone.named_buffers() if not torch.equal(before[name], value)}
    assert not any(name.startswith(("bn1", "blocks.0", "blocks.1")) for name in changed)
    assert any(name.startswith("bn2") for name in changed)


def test_layer_decay_needs_a_model_that_names_its_layers():
    model = small_classifier()
    with pytest.raises(UserError, match=r"model\.layer_decay=0\.5: SmallCNN does not say what its layers are\. Use"):
        FineTuning(layer_decay=0.5).optimizer(adamw, model, model.backbone)


def test_one_cycle_keeps_the_multiples_of_the_groups():
    model = small_classifier()
    optimizer = FineTuning(backbone_lr=0.25).optimizer(adamw, model, model.backbone)
    schedule = one_cycle(optimizer, total_steps=10, max_lr=0.3)
    for _ in range(9):
        ratios = {group["lr"] / optimizer.param_groups[0]["lr"] for group in optimizer.param_groups}
        assert sorted(ratios) == pytest.approx([0.25, 1.0])
        optimizer.step()
        schedule.step()


def test_the_warm_up_rises_linearly_and_leaves_the_rates_to_the_schedule():
    how = FineTuning(warmup_epochs=2)
    assert [how.warmup(epochs) for epochs in (-1, 0, 0.5, 1, 2, 5)] == [0, 0, 0.25, 0.5, 1, 1]
    assert FineTuning().warmup(-3) == 1
    model = small_classifier()
    optimizer = FineTuning(backbone_lr=0.5).optimizer(adamw, model, model.backbone)
    with warmed_up(optimizer, 0.1):
        inside = {group["in_backbone"]: group["lr"] for group in optimizer.param_groups}
    assert inside == {False: 1e-3, True: pytest.approx(5e-5)}
    assert {group["in_backbone"]: group["lr"] for group in optimizer.param_groups} == {False: 1e-3, True: 5e-4}


def test_a_config_of_an_earlier_version_has_the_defaults():
    assert FineTuning.of({"name": "resnet18", "freeze_epochs": 2}) == FineTuning()
    assert FineTuning.of({"backbone_lr": 0.1, "width": 1.0}) == FineTuning(backbone_lr=0.1)
