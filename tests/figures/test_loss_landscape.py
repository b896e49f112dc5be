"""The landscapes over a 2-D feature are those of the formulas, and the pictures of all losses are written."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from camri_exp.cli import CONFIGS
from camri_exp.figures import loss_landscape as contours

POINTS = 9
LINE = np.linspace(-4, 4, POINTS)


def by_hand(margin: float, target: int) -> np.ndarray:
    """CAMRI of classes at 0, 120 and 240 degrees, 1 important, from angles; (0, 0) aside, where there are none."""
    values = np.full((POINTS, POINTS), np.nan)
    for row, y in enumerate(LINE):
        for column, x in enumerate(LINE):
            if x or y:
                theta = [abs(math.remainder(math.atan2(y, x) - 2 * math.pi * k / 3, 2 * math.pi)) for k in range(3)]
                scores = [16 * math.cos(t + margin * (k == target == 1)) for k, t in enumerate(theta)]
                values[row, column] = math.log(sum(math.exp(s - scores[target]) for s in scores))
    return values


@pytest.mark.parametrize("target", [0, 1])
def test_a_landscape_is_the_formula_of_the_angles(target: int) -> None:
    _, loss, head = contours.configured(["loss=camri", "loss.margin=0.5", "loss.above_pi=reference"])
    found, expected = contours.landscape(loss, head, target, POINTS), by_hand(0.5, target)
    elsewhere = ~np.isnan(expected)
    np.testing.assert_allclose(found[elsewhere], expected[elsewhere], rtol=1e-4, atol=1e-5)


def test_settings_are_the_users_and_stand_in_the_title() -> None:
    title, loss, _ = contours.configured(["loss=wce", "loss.weight=7"])
    assert title == "wce: weight 7, normalize batch"
    assert loss.weight.tolist() == [1, 7, 1]


def test_every_loss_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contours.style, "new", lambda *size: Figure(figsize=size, dpi=30))  # quick to lay out
    monkeypatch.setattr(sys, "argv", ["contours", str(tmp_path / "losses")])
    contours.main()
    names = {path.stem for path in (tmp_path / "losses").iterdir()}
    assert names == {path.stem for path in (CONFIGS / "loss").glob("*.yaml")} | {"all"}
    for path in (tmp_path / "losses").iterdir():
        with Image.open(path) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20


def test_a_wrong_setting_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["contours", str(tmp_path / "one.png"), "loss=camri", "loss.margin=9"])
    with pytest.raises(SystemExit):
        contours.main()
    assert "margin=9; expected radians in [0, pi)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("output", ["figures", "camri.pdf"])
def test_one_loss_is_written_to_a_png_alone(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["contours", str(tmp_path / output), "loss=camri"])
    with pytest.raises(SystemExit):
        contours.main()
    assert "a file that ends in .png" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["contours", "--help"])
    with pytest.raises(SystemExit, match=r"python -m camri_exp\.figures\.contours"):
        contours.main()
    assert not list(tmp_path.iterdir())
