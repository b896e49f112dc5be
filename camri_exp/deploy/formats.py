"""A deployed model to a file, and the file to a function of pixels: ``pixels -> (scores, probabilities)``.

A format is one entry of ``FORMATS``: its suffix, and what writes the file, reads it back and returns what runs it.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.export import Dim

from camri_exp.errors import UserError

Array = npt.NDArray[Any]
Runner = Callable[[Array], tuple[Array, Array]]
EXTRA = "camri_exp.json"  # a program's metadata


def to_onnx(model: nn.Module, example: Tensor, metadata: Mapping[str, str], output: Path) -> Runner:
    """Write ONNX with torch's exporter: input ``images``, outputs ``scores`` and ``probabilities``, any batch size.

    Raises:
        UserError: what the format needs is not installed, or the exporter cannot take the model.
    """
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
        raise UserError(f"format=onnx needs {missing[0]}: pip install 'camri_exp[export]'")
    import onnxruntime

    with _silent(), _explained("onnx"):
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=["scores", "probabilities"],
            dynamic_shapes={"images": {0: Dim("batch", min=1)}},
        )
        assert program is not None
        program.model.metadata_props.update(metadata)
        program.save(str(output))
    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    return lambda pixels: tuple(session.run(["scores", "probabilities"], {"images": pixels}))


def to_program(model: nn.Module, example: Tensor, metadata: Mapping[str, str], output: Path) -> Runner:
    """Write a ``torch.export`` program; its metadata is the extra file ``camri_exp.json``.

    Raises:
        UserError: the exporter cannot take the model.
    """
    with _silent(), _explained("torch"):
        exported = torch.export.export(model, (example,), dynamic_shapes={"images": {0: Dim("batch", min=1)}})
    extra = {EXTRA: json.dumps({key: json.loads(value) for key, value in metadata.items()}, ensure_ascii=False)}
    with _silent():
        torch.export.save(exported, output, extra_files=extra)
        program = torch.export.load(output).module()

    def run(pixels: Array) -> tuple[Array, Array]:
        with torch.no_grad():
            scores, probabilities = program(torch.from_numpy(np.ascontiguousarray(pixels)))
        return scores.numpy(), probabilities.numpy()

    return run


Writer = Callable[[nn.Module, Tensor, Mapping[str, str], Path], Runner]
FORMATS: dict[str, tuple[str, Writer]] = {"onnx": (".onnx", to_onnx), "torch": (".pt2", to_program)}


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:  # the exporters' own errors are RuntimeErrors
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        others = ", ".join(other for other in FORMATS if other != name)
        raise UserError(
            f"torch's exporter cannot write this model with format={name}: {first}\n"
            f"An old torch ({torch.__version__} here) may not fit what else is installed: update it, or try "
            f"format={others}"
        ) from error


@contextmanager
def _silent() -> Iterator[None]:
    """The exporter announces every step, and warns of operators that nobody asked for."""
    logger, level = logging.getLogger("torch.onnx"), logging.getLogger("torch.onnx").level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
