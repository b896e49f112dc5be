"""Configs as the commands compose them, without a process."""

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from camri_exp.cli import CONFIGS, register_resolvers


def composed(command: str, *overrides: str) -> DictConfig:
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(command, list(overrides))
