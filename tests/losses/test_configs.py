"""Every file of configs/loss: it describes itself, composes, matches its head, learns and trains."""

import re
import shlex
from pathlib import Path

import pytest
import torch
import yaml

from camri_exp.cli import CONFIGS
from camri_exp.errors import UserError
from camri_exp.models.factory import build_head, build_loss
from tests.conftest import QUICK, Command
from tests.helpers.configs import composed
from tests.helpers.new_loss import add_loss

LOSSES = sorted(path.stem for path in (CONFIGS / "loss").glob("*.yaml"))
K, D = 4, 6


def text_of(name: str) -> str:
    return (CONFIGS / "loss" / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", LOSSES)
def test_the_file_describes_itself_and_its_commands_compose(name: str) -> None:
    text = text_of(name)
    comment = [line[1:] for line in text.splitlines() if line.startswith("#")]
    assert text.startswith("# ")
    assert yaml.safe_load(text)["name"] == name
    commands = [shlex.split(line) for line in comment if line.strip().startswith("python -m camri_exp.train")]
    assert commands
    for command in commands:
        assert composed("train", *command[3:]).loss.name == name


@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_head_match_and_learn(name: str) -> None:
    cfg = composed("train", f"loss={name}")
    torch.manual_seed(0)
    head = build_head(cfg, D, K)
    loss = build_loss(cfg, {"num_classes": K, "important_class": [1], "class_counts": [30, 10, 20, 20]})
    assert head.score_type == loss.score_type
    target = torch.arange(K).repeat_interleave(torch.tensor([30, 10, 20, 20]))
    features = torch.randn(len(target), D) * 0.3 + 2 * torch.eye(K, D)[target]
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    first = loss(head(features), target).item()
    for _ in range(200):
        optimizer.zero_grad()
        value = loss(head(features), target)
        value.backward()
        optimizer.step()
    assert value.item() < first
    assert (head(features).argmax(1) == target).float().mean() > 0.97
    assert loss.probabilities(head(features)).sum(1).tolist() == pytest.approx([1.0] * len(target), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_run_trains_with_it(name: str, train: Command, tmp_path: Path) -> None:
    finished = train(f"loss={name}")
    assert finished.code == 0, finished.err
    assert (tmp_path / "run" / "result.json").exists()


def test_a_wrong_setting_ends_in_one_line(train: Command) -> None:
    finished = train("loss=camri", "loss.margin=11.25")
    assert finished.code == 1
    assert finished.err.strip().splitlines()[-1] == (
        "error: loss=camri: margin=11.25; expected radians in [0, pi), not degrees: 11.25 degrees are 0.196"
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss.alpha=[1,2]", "loss=focal: alpha has 2 values; expected a list of 4, one per class"),
        ("loss.alpha=0.25", "loss.alpha=0.25: expected a list of numbers or null."),
    ],
)
def test_a_wrong_alpha_is_refused_before_the_first_batch(override: str, message: str) -> None:
    cfg = composed("train", "loss=focal", override)
    with pytest.raises(UserError, match=re.escape(message)):
        build_loss(cfg, {"num_classes": K, "important_class": [1], "class_counts": [9] * K})


NEW_LOSS = '''
"""Cross-entropy on squared cosines."""
import torch.nn.functional as F
from camri_exp.losses import Loss


class SquaredLoss(Loss):
    needs = frozenset({"num_classes"})
    score_type = "cosine"

    def __init__(self, num_classes: int, sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness

    def forward(self, scores, target):
        return F.cross_entropy(self.sharpness * scores * scores.abs(), target)
'''


def test_a_new_loss_is_one_py_and_one_yaml(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = "squared_loss.SquaredLoss"
    search = add_loss(tmp_path, monkeypatch, "squared", target, NEW_LOSS, "sharpness: 16.0\n")
    finished = command("train", "data=tiny", "loss=squared", search, *QUICK, f"hydra.run.dir={tmp_path / 'run'}")
    assert finished.code == 0, finished.err
    assert '"loss": "squared"' in (tmp_path / "run" / "result.json").read_text()
