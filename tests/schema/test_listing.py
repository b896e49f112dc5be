"""docs/configuration.md and ``--help`` list what the configs and the schema have."""

import inspect

import pytest
import yaml

from camri_exp.cli import CONFIGS
from camri_exp.schema.keys import COMMANDS
from camri_exp.schema.listing import as_markdown, commented_keys, keys_of, plugin_keys
from tests.conftest import TESTS


def test_the_page_of_all_keys_is_up_to_date() -> None:
    page = (TESTS.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == as_markdown(CONFIGS), "run python scripts/list_keys.py"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_of_a_config_file_has_a_schema(command: str) -> None:
    content = yaml.safe_load((CONFIGS / f"{command}.yaml").read_text(encoding="utf-8"))
    keys = set(content) - {"defaults", "hydra"}
    assert keys <= set(inspect.get_annotations(COMMANDS[command]))


@pytest.mark.parametrize(("group", "option"), [("model", "timm"), ("trainer", "default")])
def test_every_key_of_the_complete_options_is_listed(group: str, option: str) -> None:
    content = yaml.safe_load((CONFIGS / group / f"{option}.yaml").read_text(encoding="utf-8"))
    listed = {key.name for key in keys_of("train", CONFIGS)}
    assert {f"{group}.{key}" for key in content if key != "_target_"} <= listed


def test_comments_are_read_from_the_configs() -> None:
    keys = commented_keys(CONFIGS / "train.yaml")
    assert keys["sweep.attempts"][0] == "3"
    assert "kills" in keys["sweep.attempts"][1]
    margin = next(key for key in plugin_keys(CONFIGS / "loss" / "camri.yaml") if key.name == "loss.margin")
    assert margin.expected == "a number or a list of numbers"
    assert margin.meaning.startswith("radians")
