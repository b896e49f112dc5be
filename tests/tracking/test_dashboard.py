"""All panels refer to keys that real runs log, and a second call updates the dashboard."""

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import wandb_files as reading
from tests.helpers.wandb_service import Service

pytest.importorskip("wandb_workspaces", reason="the dashboard needs the extra camri_exp[dashboard]")

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "dashboard.py"
AXES = ("xAxis", "yAxis", "zAxis", "accessor", "groupBy", "metricRegex")


@pytest.fixture
def dashboard(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script's main, called as from the command line."""
    spec = importlib.util.spec_from_file_location("dashboard_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["dashboard.py", *arguments])
        script.main()

    return run


def dumped(dashboard: Any, folder: Path, *arguments: str) -> dict[str, Any]:
    dashboard("--entity", "me", "--project", "p", "--dry-run", f"{folder / 'd.json'}", *arguments)
    return json.loads((folder / "d.json").read_text(encoding="utf-8"))


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All mappings in ``tree``."""
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(child)


def panels(tree: Any) -> list[dict[str, Any]]:
    return [node for node in nodes(tree) if "viewType" in node]


def keys(panel: dict[str, Any]) -> set[str]:
    """What a panel refers to: ``config.…`` or the name of a metric, a figure or a table."""
    found: set[str] = set()
    for node in nodes(panel["config"]):
        found |= {node[axis] for axis in AXES if isinstance(node.get(axis), str)}
        found |= set(node.get("metrics") or ()) | set(node.get("mediaKeys") or ())
        if node.get("name") == "pick":  # the table of a Weave panel
            found.add(node["inputs"]["key"]["val"])
    grouped = {key for key in found if key == panel["config"].get("groupBy")}
    return {plain(key) for key in found - grouped} | {plain(f"config:{key}") for key in grouped}


def plain(key: str) -> str:
    """W&B's spelling ``config:loss.value.margin`` as ``config.loss.margin``; ``summary:x`` as ``x``."""
    if key.startswith("config:"):
        return "config." + key.removeprefix("config:").replace(".value", "", 1)
    return key.removeprefix("summary:")


def logged(sweep: Path) -> set[str]:
    """What the runs of a real sweep logged, and the keys of their configs."""
    found: set[str] = set()
    for file in reading.files(sweep):
        run = reading.read(file)
        names = {name for row in run.history for name in row} | set(run.summary)
        found |= names | {name.partition(".")[0] for name in names}
        for key, value in run.config.items():
            inner = value if isinstance(value, dict) else {}
            found |= {f"config.{key}", *(f"config.{key}.{name}" for name in inner)}
    return found


def test_every_panel_shows_something_that_runs_log(dashboard: Any, sweep: Path, tmp_path: Path) -> None:
    known = logged(sweep)
    tree = dumped(dashboard, tmp_path)
    assert len(panels(tree["workspace"])) > 15
    for panel in panels(tree):
        pointed = keys(panel)
        assert pointed, panel
        for key in pointed:
            found = key in known or any(re.fullmatch(key, name) for name in known)
            assert found, f"{panel['viewType']} points at {key}, which no run logs"


def test_columns_groups_and_filters_exist(dashboard: Any, sweep: Path, tmp_path: Path) -> None:
    known = logged(sweep)
    tree = dumped(dashboard, tmp_path, "data=digits", "important_class=8", "loss=camri")
    for node in nodes(tree):
        for column in node.get("columnOrder") or ():
            assert column.startswith("run:") or plain(column) in known, column
        for key in node.get("grouping") or ():
            assert key["section"] == "config"
            assert plain(f"config:{key['name']}") in known, key
    filters = [node for node in nodes(tree) if "op" in node and isinstance(node.get("key"), dict)]
    assert {node["value"] for node in filters} >= {"digits", "8", "camri", "ce", "finished", "train"}
    assert all(
        plain(f"config:{node['key']['name']}") in known for node in filters if node["key"]["section"] == "config"
    )


def test_a_panel_that_points_nowhere_is_found(sweep: Path) -> None:
    stray = {
        "viewType": "Scatter Plot",
        "config": {"xAxis": "summary:test/acuracy", "yAxis": "config:loss.value.margin"},
    }
    assert keys(stray) - logged(sweep) == {"test/acuracy"}


def test_the_workspace_and_the_report_have_the_same_panels(dashboard: Any, tmp_path: Path) -> None:
    tree = dumped(dashboard, tmp_path)
    shown = [[(panel["viewType"], panel["config"]) for panel in panels(tree[part])] for part in ("workspace", "report")]
    assert shown[0] == shown[1]


def test_a_second_call_updates_the_first(dashboard: Any, online: Service, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        dashboard("entity=me", "project=p", "baseline=ce")
    assert [(view["type"], view["id"]) for view in online.views] == [
        ("project-view", None),
        ("runs", None),
        ("project-view", "project-view-id"),
        ("runs", "runs-id"),
    ]
    assert online.views[0]["name"] == online.views[2]["name"]
    assert "accuracy 0.9600 (mean of 3 runs)" in online.views[0]["spec"]
    assert capsys.readouterr().out.count("http") == 4
    assert "Run" not in online.requests  # one request lists all runs, none is asked for alone


def test_a_colour_a_loss() -> None:
    from camri_exp.tracking.panels import COLOURS

    losses = [path.stem for path in (SCRIPT.parents[1] / "configs" / "loss").glob("*.yaml")]
    assert len(set(COLOURS)) == len(COLOURS) >= len(losses)


def test_a_file_that_cannot_be_written_is_said(
    dashboard: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        dashboard("entity=me", "project=p", f"dry_run={tmp_path / 'nowhere' / 'd.json'}")
    printed = capsys.readouterr().err
    assert "cannot be written" in printed
    assert "W&B" not in printed


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "--entity, --project"),
        (("--entity", "me"), "--project"),
        (("entity=me", "project=p", "basline=ce"), "--basline"),
    ],
)
def test_wrong_arguments_are_said(
    dashboard: Any, arguments: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        dashboard(*arguments)
    printed = capsys.readouterr()
    assert text in printed.out + printed.err
