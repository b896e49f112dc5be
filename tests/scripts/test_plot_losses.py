"""``scripts/plot_losses.py``: the figures of docs/losses.md, and the figure of one loss with the user's settings."""

import subprocess
import sys
from pathlib import Path

import plot_losses
import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["plot_losses.py", *map(str, arguments)])
    plot_losses.main()


def test_one_loss_with_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, tmp_path / "camri.png", "loss=camri", "loss.margin=0.2")
    with Image.open(tmp_path / "camri.png") as image:
        assert min(image.size) > 200
    assert [path.name for path in tmp_path.iterdir()] == ["camri.png"]


def test_the_title_gives_the_settings() -> None:
    title, loss, head = plot_losses.configured(["loss=camri", "loss.margin=0.25"])
    assert title == "camri: margin 0.25, scale 16, above_pi hard, other_margin 0"
    assert loss.margins.tolist() == [0, 0.25, 0]
    assert head.score_type == loss.score_type
    assert plot_losses.configured(["loss=ldam"])[1].margins[1] == 0.5  # the important class is the rarest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["figure.pdf", "loss=camri"], "figure.pdf: expected a file that ends in .png for the figure of one loss."),
        (["figure.png", "loss=camry"], "Could not find 'loss/camry'"),
        (["figure.png", "loss=camri", "loss.margin=12"], "loss=camri: margin=12; expected radians in [0, pi)"),
    ],
)
def test_wrong_input_ends_in_a_short_error(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, *arguments)
    assert stop.value.code == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert "Traceback" not in printed
    assert not list(tmp_path.iterdir())


def test_the_docs_show_every_figure_of_their_folder() -> None:
    page = (DOCS / "losses.md").read_text(encoding="utf-8")
    figures = sorted((DOCS / "figures" / "losses").iterdir())
    assert {path.stem for path in figures} <= {*plot_losses.LOSSES, "all"}
    assert all(f"](figures/losses/{path.name})" in page for path in figures)


@pytest.mark.slow
def test_the_commands_of_the_docs_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With one loss instead of all, to save time."""
    page = (DOCS / "losses.md").read_text(encoding="utf-8")
    commands = [line.split("(")[0].split()[1:] for line in page.splitlines() if line.startswith("    python scripts/")]
    assert [command[:2] for command in commands] == [
        ["scripts/plot_losses.py", "docs/figures/losses"],
        ["scripts/plot_losses.py", "mine.png"],
    ]
    monkeypatch.setattr(plot_losses, "LOSSES", ["ce"])
    monkeypatch.chdir(tmp_path)
    for command in commands:
        run(monkeypatch, *command[1:])
    drawn = tmp_path / "docs" / "figures" / "losses"
    assert sorted(path.name for path in drawn.iterdir()) == ["all.png", "ce.png"]
    assert (drawn / "ce.png").read_bytes() == (DOCS / "figures" / "losses" / "ce.png").read_bytes()
    assert (tmp_path / "mine.png").is_file()


@pytest.mark.slow
def test_help_lists_the_arguments() -> None:
    script = Path(plot_losses.__file__)
    printed = subprocess.check_output([sys.executable, str(script), "--help"], text=True)
    assert "Hydra overrides of one loss" in printed
