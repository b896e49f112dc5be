"""Errors of the exporters; what the files contain is tested with the command in tests/test_export.py."""

import pytest
import torch

from camri_exp.deploy.formats import FORMATS
from camri_exp.errors import UserError


class OutsideOfTorch(torch.nn.Module):
    """A layer that an exporter cannot follow, because it would need the values of the tensors."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if torch.compiler.is_compiling() or torch.jit.is_tracing():
            raise RuntimeError("this layer calls a library that is not torch")
        return images, images


@pytest.mark.parametrize(("name", "other"), [("torch", "onnx"), ("onnx", "torch")])
def test_the_error_for_a_model_that_cannot_be_exported_says_what_to_try(tmp_path, name, other):
    suffix, write = FORMATS[name]
    with pytest.raises(UserError, match=f"format={name}: .*\n.*: update it, or try format={other}$") as refused:
        write(OutsideOfTorch(), torch.zeros(2, 3, 8, 8), {}, tmp_path / f"model{suffix}")
    assert len(str(refused.value).splitlines()) == 2
