"""Many heads on the same features, trained as one program.

The heads of one seed have the same batches, so that their scores are one product; losses that differ in numbers alone
are one call, and heads with the same optimizer are one step of it. Heads stay independent: the gradient of the sum of
their losses is the gradient of each, and optimizers that work element by element do not mix them.
"""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.func import functional_call, vmap

from camri_exp.data.base import ImageDataModule
from camri_exp.data.loader import InMemoryLoader
from camri_exp.models.classifier import FeatureClassifier
from camri_exp.models.heads import linear_stack
from camri_exp.training.stacked_losses import loss_groups

Weights = dict[str, Tensor]  # (S, …) by the name of the parameter
ROWS = 4096  # images that are evaluated at a time


@dataclass(frozen=True, eq=False)
class Member:
    """One run of a stack: its config, and the model with its initial weights."""

    cfg: DictConfig
    model: FeatureClassifier

    @cached_property
    def recipe(self) -> str:
        """The optimizer and its schedule, as text."""
        return json.dumps([OmegaConf.to_container(self.cfg[key], resolve=True) for key in ("optimizer", "scheduler")])


@dataclass
class Block:
    """The members of one seed, their weights and their batches."""

    members: Sequence[Member]
    weights: Weights
    loader: InMemoryLoader

    def scores(self, features: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Scores (S, N, K) of features (N, D)."""
        model = self.members[0].model
        weights = self.weights if weights is None else weights
        own = {name.removeprefix("head."): value for name, value in weights.items() if name.startswith("head.")}
        if isinstance(model.backbone, nn.Sequential):  # a linear layer before the head
            layer = weights["backbone.1.weight"], weights["backbone.1.bias"]
            return vmap(self._head)(own, linear_stack(features, *layer))
        if (of_stack := getattr(model.head, "of_stack", None)) is not None:
            scores: Tensor = of_stack(features, own)
            return scores
        return vmap(self._head, in_dims=(0, None))(own, features)

    def _head(self, weights: Weights, features: Tensor) -> Tensor:
        scores: Tensor = functional_call(self.members[0].model.head, weights, (features,))
        return scores


@dataclass
class Recipe:
    """The members with the same optimizer and schedule: rows ``rows[i]`` of block i."""

    name: str
    rows: Sequence[slice]
    views: list[Weights]
    optimizer: torch.optim.Optimizer
    scheduler: Any
    step: Any = field(repr=False)


class Stack:
    """Members that share the features and the shape of what is trained.

    Args:
        members: the runs; those of one seed have the same batches.
        data: its features, set up.
        device: where they are trained.
    """

    def __init__(self, members: Sequence[Member], data: ImageDataModule, device: torch.device) -> None:
        self.members = sorted(members, key=lambda member: (member.cfg.seed, member.recipe))
        self.data, self.device, self.epoch = data, device, 0
        if device.type == "cuda":
            data.move_to(device)
        self.blocks = [self._block(list(group)) for _, group in groupby(self.members, lambda member: member.cfg.seed)]
        self.steps_per_epoch = len(self.blocks[0].loader)
        self.epochs = int(members[0].cfg.trainer.max_epochs)
        classes = len(members[0].model.class_names)
        groups = loss_groups([member.model.loss.to("cpu") for member in self.members], classes)
        self.losses = [(torch.tensor(index, device=device), call) for index, call in groups]
        self.order = torch.cat([index for index, _ in self.losses]).argsort()
        recipes = dict.fromkeys(member.recipe for member in self.members)
        self.recipes = [self._recipe(recipe) for recipe in recipes]

    def _block(self, members: Sequence[Member]) -> Block:
        data = copy.copy(self.data)
        data.seed = members[0].cfg.seed
        states = [dict(member.model.named_parameters()) for member in members]
        stacked = {name: torch.stack([state[name].detach() for state in states]) for name in states[0]}
        weights = {name: value.to(self.device).requires_grad_() for name, value in stacked.items()}
        return Block(members, weights, data.train_dataloader())

    def _recipe(self, recipe: str) -> Recipe:
        first = next(member.model for member in self.members if member.recipe == recipe)
        rows = []
        for block in self.blocks:
            same = [i for i, member in enumerate(block.members) if member.recipe == recipe]
            rows.append(slice(same[0], same[-1] + 1) if same else slice(0, 0))
        views = [
            {name: value.detach()[part] for name, value in block.weights.items()}
            for block, part in zip(self.blocks, rows, strict=True)
        ]
        assert first.make_optimizer is not None
        assert first.make_scheduler is not None
        optimizer = first.make_optimizer([value for view in views for value in view.values() if len(value)])
        scheduler = first.make_scheduler(optimizer, self.epochs * self.steps_per_epoch)
        return Recipe(recipe, rows, views, optimizer, scheduler, first.lr_scheduler_step)

    def train_epoch(self) -> Iterator[Tensor]:
        """Train all members for one epoch; yields their losses (H,) after each step."""
        for block in self.blocks:
            block.loader.sampler.set_epoch(self.epoch)  # type: ignore[attr-defined]
        for batches in zip(*(block.loader for block in self.blocks), strict=True):
            yield self._step(batches)
        self.epoch += 1

    def _step(self, batches: Sequence[tuple[Tensor, ...]]) -> Tensor:
        scores, targets = [], []
        for block, (features, target) in zip(self.blocks, batches, strict=True):
            scores.append(block.scores(features.to(self.device)))
            targets.append(target.to(self.device).expand(len(block.members), -1))
        every, target = torch.cat(scores), torch.cat(targets)
        losses = torch.cat([call(every[index], target[index]) for index, call in self.losses])
        losses.sum().backward()
        for recipe in self.recipes:
            self._update(recipe)
        for block in self.blocks:
            for value in block.weights.values():
                value.grad = None
        return losses.detach()[self.order]

    def _update(self, recipe: Recipe) -> None:
        for block, rows, views in zip(self.blocks, recipe.rows, recipe.views, strict=True):
            for name, view in views.items():
                gradient = block.weights[name].grad
                view.grad = None if gradient is None else gradient[rows]
        recipe.optimizer.step()
        recipe.step(recipe.scheduler, None)

    @torch.no_grad()
    def scores(self, split: str, block: Block, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Scores (S, n, K) of the images of a split, on the CPU."""
        features = self.data.inputs(split).images
        parts = [
            block.scores(features[start : start + ROWS].to(self.device), weights).cpu()
            for start in range(0, self.data.length(split), ROWS)
        ]
        return torch.cat(parts, dim=1)

    def learning_rate(self, member: Member) -> float:
        """The learning rate of a member after the last step."""
        return float(self._recipe_of(member).optimizer.param_groups[0]["lr"])

    def _recipe_of(self, member: Member) -> Recipe:
        return next(recipe for recipe in self.recipes if recipe.name == member.recipe)

    def optimizer_state(self, member: Member) -> tuple[dict[str, Any], dict[str, Any]]:
        """The states of the optimizer and of the schedule that the member would have alone."""
        recipe = self._recipe_of(member)
        number = next(i for i, block in enumerate(self.blocks) if member in block.members)
        row = list(self.blocks[number].members).index(member) - recipe.rows[number].start
        names = list(recipe.views[number])
        state = {i: state_of(recipe.optimizer.state[recipe.views[number][name]], row) for i, name in enumerate(names)}
        group = {key: value for key, value in recipe.optimizer.param_groups[0].items() if key != "params"}
        own = {"state": state, "param_groups": [{**group, "params": list(range(len(names)))}]}
        return own, recipe.scheduler.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed stack needs."""
        return {
            "epoch": self.epoch,
            "weights": [{name: value.detach() for name, value in block.weights.items()} for block in self.blocks],
            "optimizers": [recipe.optimizer.state_dict() for recipe in self.recipes],
            "schedulers": [recipe.scheduler.state_dict() for recipe in self.recipes],
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch = state["epoch"]
        for block, weights in zip(self.blocks, state["weights"], strict=True):
            for name, value in weights.items():
                block.weights[name].copy_(value)
        for recipe, optimizer, scheduler in zip(self.recipes, state["optimizers"], state["schedulers"], strict=True):
            recipe.optimizer.load_state_dict(optimizer)
            recipe.scheduler.load_state_dict(scheduler)


def state_of(state: Mapping[str, Any], row: int) -> dict[str, Any]:
    """The part of an optimizer's state that belongs to one row of a stack."""
    return {
        name: value[row].cpu().clone() if isinstance(value, Tensor) and value.ndim else value
        for name, value in state.items()
    }


def row_of(weights: Mapping[str, Tensor], row: int) -> Weights:
    """A copy of the weights of one row of a stack, on the CPU."""
    return {name: value.detach()[row].cpu().clone() for name, value in weights.items()}
