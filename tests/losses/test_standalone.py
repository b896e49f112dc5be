"""The losses in somebody else's PyTorch loop: nothing of the suite is imported, and the README's lines run."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_a_loss_imports_torch_alone() -> None:
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
    # Nor anything else from outside: what is new is ours, torch's or Python's own.
    assert {name for name in new if name not in sys.stdlib_module_names} <= {"camri_exp", "torch"}


def test_the_readme_s_loop_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (loop,) = [block for block in blocks if "CAMRILoss" in block]
    assert float(run(f"{loop}\nprint((predicted == digits).double().mean().item())")) > 0.9
