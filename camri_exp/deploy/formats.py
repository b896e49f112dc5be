"""Formats of exported models. Each writes a file, and returns a function that runs the file.

``FORMATS`` maps the name of a format to the suffix of its files and its writer.
"""

import io
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

from camri_exp.errors import UserError, first_line

Array = npt.NDArray[Any]
Runner = Callable[[Array], tuple[Array, ...]]  # uint8 pixels (n, C, H, W) to the arrays of OUTPUTS
OUTPUTS = ["scores", "probabilities", "prediction"]
EXTRA_FILE = "camri_exp.json"  # holds the metadata of a torch.export program


def to_onnx(model: nn.Module, example: Tensor, metadata: Mapping[str, str], output: Path) -> Runner:
    """Write ONNX with torch's exporter: input ``images``, the outputs ``OUTPUTS``, any batch size.

    ``example`` holds uint8 pixels (n, C, H, W) of at least two images, because the exporter would treat a batch size of
    1 as a constant.

    Raises:
        UserError: a package that the format needs is not installed, or the exporter does not support the model.
    """
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
        raise UserError(f"format=onnx needs {missing[0]}: pip install 'camri_exp[export]'")
    import onnxruntime

    with _quiet_exporter(), _export_errors("onnx"):
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=OUTPUTS,
            dynamic_shapes={"images": {0: Dim("batch", min=1)}},
        )
        assert program is not None
        program.model.metadata_props.update(metadata)
        program.save(str(output))
    session = onnxruntime.InferenceSession(str(output), providers=["CPUExecutionProvider"])
    return lambda pixels: tuple(session.run(OUTPUTS, {"images": pixels}))


def to_program(model: nn.Module, example: Tensor, metadata: Mapping[str, str], output: Path) -> Runner:
    """Write a ``torch.export`` program with its metadata as the extra file ``camri_exp.json``.

    ``example`` is as for ``to_onnx``.

    Raises:
        UserError: the exporter does not support the model.
    """
    with _quiet_exporter(), _export_errors("torch"):
        exported = torch.export.export(model, (example,), dynamic_shapes={"images": {0: Dim("batch", min=1)}})
    extra = {EXTRA_FILE: json.dumps({key: json.loads(value) for key, value in metadata.items()}, ensure_ascii=False)}
    with _quiet_exporter():
        buffer = io.BytesIO()  # on a full disk, torch's writer would abort the process
        torch.export.save(exported, buffer, extra_files=extra)
        output.write_bytes(buffer.getvalue())
        program = torch.export.load(output).module()

    def run(pixels: Array) -> tuple[Array, ...]:
        with torch.no_grad():
            scores, probabilities, prediction = program(torch.from_numpy(np.ascontiguousarray(pixels)))
        return scores.numpy(), probabilities.numpy(), prediction.numpy()

    return run


Writer = Callable[[nn.Module, Tensor, Mapping[str, str], Path], Runner]
FORMATS: dict[str, tuple[str, Writer]] = {"onnx": (".onnx", to_onnx), "torch": (".pt2", to_program)}


@contextmanager
def _export_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:  # the exporters' own errors are RuntimeErrors
        others = ", ".join(other for other in FORMATS if other != name)
        raise UserError(
            f"torch's exporter cannot write this model with format={name}: {first_line(error)}\n"
            f"An old torch (here {torch.__version__}) may not be compatible with other installed packages: update it, "
            f"or try format={others}"
        ) from error


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hide the exporter's progress messages, and its warnings about operators that the model does not use."""
    logger, level = logging.getLogger("torch.onnx"), logging.getLogger("torch.onnx").level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
