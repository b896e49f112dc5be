"""The configs that the composer makes from copies are those that Hydra composes."""

from collections.abc import Iterator
from unittest import mock

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import OmegaConf

from camri_exp.cli import CONFIGS, register_resolvers
from hydra_plugins.camri_exp_sweeper.composition import Composer

# Jobs in the order in which they are composed: most after one with other values of the same keys.
JOBS = [
    ["loss=camri", "loss.margin=0.1", "seed=0"],
    ["loss=camri", "loss.margin=0.2", "seed=1"],
    ["loss=arcface", "loss.margin=0.2", "seed=1"],
    ["loss=camri", "loss.margin=null", "seed='1'"],
    ["loss=camri", "important_class='a b'", "seed=3"],
    ["loss=camri", "important_class=trash", "seed=3"],
    ["loss=camri", "important_class=[0,1]", "seed=3"],
    ["loss=camri", "important_class=[2]", "seed=3"],
    ["data.imbalance={profile:class,class_name:8,ratio:20}"],
    ["data.imbalance={profile:step,ratio:3}"],
    ["seed=4", "+data.mine=2", "++loss.note=x", "~callbacks.metrics_csv"],
    ["seed=5", "+data.mine=2", "++loss.note=x", "~callbacks.metrics_csv"],
    ["seed=5", "+data.mine=3", "++loss.note=x"],
    ["seed=5", "data.batch_size=${data.image_size}"],
    ["seed=6", "data.batch_size=7"],
    ["seed=6", "scheduler=cosine", "hydra.sweep.subdir=there"],
    ["seed=7", "scheduler=one_cycle", "hydra.sweep.subdir=here"],
]


@pytest.fixture
def loader() -> Iterator[ConfigLoader]:
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        yield hydra.config_loader


def test_configs_are_those_of_hydra(loader: ConfigLoader) -> None:
    config = loader.load_configuration("train", ["data=digits", "hydra.sweep.dir=d"], RunMode.MULTIRUN)
    composer = Composer(loader, config)
    with mock.patch.object(loader, "load_sweep_config", wraps=loader.load_sweep_config) as composed:
        found = [composer(job) for job in JOBS]
    assert composed.call_count == 12
    for job, cfg in zip(JOBS, found, strict=True):
        expected = loader.load_sweep_config(config, job)
        assert OmegaConf.to_container(cfg) == OmegaConf.to_container(expected), job
        assert OmegaConf.is_struct(cfg)
        assert OmegaConf.get_cache(cfg) == OmegaConf.get_cache(config)


def test_a_job_changes_no_other(loader: ConfigLoader) -> None:
    composer = Composer(loader, loader.load_configuration("train", [], RunMode.MULTIRUN))
    first = composer(["seed=1"])
    first.seed = 9
    assert composer(["seed=2"]).seed == 2
    assert first.seed == 9


@pytest.mark.parametrize("wrong", ["sead=1", "loss.margn=0.1", "loss=nothing", "seed=1,2"])
def test_hydras_errors_are_kept(loader: ConfigLoader, wrong: str) -> None:
    composer = Composer(loader, loader.load_configuration("train", [], RunMode.MULTIRUN))
    for _ in range(2):
        with pytest.raises(ConfigCompositionException):
            composer([wrong])
