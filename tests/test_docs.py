"""The documentation is true: the README's output, commands and layout, links between pages, and the notebook."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from camri_exp.__main__ import COMMANDS
from camri_exp.cli import CONFIGS, quoted
from tests.conftest import QUICK, TESTS, Command
from tests.helpers.configs import composed

ROOT = TESTS.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"
CONFIG_OF = {name: name for name in COMMANDS} | {"data.show": "show"}  # tracking.sync has none
PATHS = ("checkpoint", "run", "compare", "output", "images", "sweep", "resume", "ranking_sweep", "data.root")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def shape(text: str) -> str:
    """``text`` without its numbers, which depend on the machine and the time, and without surrounding blank lines."""
    return re.sub(r"\d[\d.-]*", "0", text).strip()


def test_readme_opens_with_what_the_first_command_prints(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMRI_DATA", raising=False)
    assert blocks("bash")[0].split(" && ")[-1] == ".venv/bin/python -m camri_exp.train\n"
    only_faster = [override for override in QUICK if not override.startswith("logger")]
    finished = command("train", *only_faster)
    assert finished.code == 0, finished.err
    printed = (finished.err + finished.out).replace("".join(f"{override} " for override in only_faster), "")
    assert shape(printed) == shape(blocks("text")[0])


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """The commands of a page with their arguments; of a list the last item, which composes with every other key."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"python -m camri_exp\.([a-z_.]*[a-z])([^\n`]*)", text)
    return [(CONFIG_OF[name], arguments(rest.split("  ")[0])) for name, rest in lines if name != "tracking.sync"]


def arguments(text: str) -> list[str]:
    given = [argument.partition("=") for argument in shlex.split(text) if "=" in argument]
    return [f"{key}={item(value) if key not in PATHS else value}" for key, _, value in given if used(key, value)]


def used(key: str, value: str) -> bool:
    """Whether the argument stands for itself: no optional part, no NAME, no plug-in of an extra, no key of one loss."""
    return value != "NAME" and not (set("[|…") & set(key + value) or key.startswith(("hydra", "sweep.only")))


def item(value: str) -> str:
    return "0" if value.startswith(("range", "interval")) else value.split(",")[-1]


def test_readme_shows_every_command() -> None:
    assert {name for name, _ in commands(PAGES[0])} >= set(COMMANDS)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_every_command_of_a_page_has_known_keys_and_options(page: Path) -> None:
    for name, overrides in commands(page):
        composed(name, *quoted(overrides, PATHS))


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_readme_layout_is_that_of_the_repository() -> None:
    (layout,) = [part for part in README.split("\n## ") if part.startswith("Repository layout")]
    listed = re.findall(r"^ {4,6}((?:[\w*.]+/? )+) +\S", layout, re.MULTILINE)
    names = {name.rstrip("/") for line in listed for name in line.split()} - {"*.py"}
    inside = {name for name in names if (ROOT / "camri_exp" / name).exists()}
    assert [name for name in names - inside if not (ROOT / name).exists()] == []
    packages = {path.parent.name for path in (ROOT / "camri_exp").glob("*/__init__.py")}
    assert packages | {f"{name}.py" for name in COMMANDS} == inside


def test_readme_lists_every_option() -> None:
    table = dict(re.findall(r"^\| (`\w.*?) \| (.*) \|$", README, re.MULTILINE))
    for group in ("data", "loss", "logger"):
        options = {path.stem for path in (CONFIGS / group).glob("*.yaml")}
        assert set(re.findall(r"`(\w+)`", table[f"`{group}`"])) >= options, group


def pages(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [page for entry in (nav.values() if isinstance(nav, dict) else nav) for page in pages(entry)]


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    nav = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    docs = ROOT / "docs"
    written = [*docs.glob("*.md"), *(docs / "reference").glob("*.md")]
    assert sorted(nav) == sorted(str(path.relative_to(docs)) for path in written)


def test_notebook_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.slow
def test_notebook_runs(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs the extra camri_exp[notebook]")
    nbformat = pytest.importorskip("nbformat", reason="needs the extra camri_exp[notebook]")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()  # raises
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
