"""The losses in a plain PyTorch loop: importing them requires torch only, and the example of the README runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_importing_a_loss_imports_torch_only() -> None:
    code = """
import sys, torch
before = set(sys.modules)
from camri_exp.losses import CAMRILoss
from camri_exp.models.heads import CosineHead
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
    new = run(code).split()
    assert "camri_exp" in new
    suite = {"hydra", "omegaconf", "lightning", "pytorch_lightning", "wandb", "timm", "matplotlib", "sklearn", "scipy"}
    assert not suite & set(new)
    # Nor any other package: new modules are of this project, torch or the standard library.
    assert {name for name in new if name not in sys.stdlib_module_names} <= {"camri_exp", "torch"}


@pytest.mark.slow
def test_the_loop_of_the_readme_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (loop,) = [block for block in blocks if "CAMRILoss" in block]
    assert float(run(f"{loop}\nprint((predicted == digits).double().mean().item())")) > 0.9
