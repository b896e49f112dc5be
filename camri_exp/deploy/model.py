"""A checkpoint as a function of pixels: the normalisation of the training inside, the margin outside."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from camri_exp.classifier import Classifier
from camri_exp.errors import UserError

AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class Deployed(nn.Module):
    """``forward(images uint8 (N, C, H, W)) -> scores (N, K), probabilities (N, K)``, both float32."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: Classifier, about: Mapping[str, Any]) -> None:
        super().__init__()
        self.backbone, self.head, self.loss = model.backbone, model.head, model.loss
        self.memory_format = model.memory_format
        self.register_buffer("mean", torch.tensor(about["mean"])[:, None, None] * 255, persistent=False)
        self.register_buffer("std", torch.tensor(about["std"])[:, None, None] * 255, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = (images.float() - self.mean) / self.std
        scores = self.head(self.backbone(pixels.contiguous(memory_format=self.memory_format))).float()
        return scores, self.loss.probabilities(scores)


class Predictor:
    """Runs a classifier on batches of pictures, with the device's and the training's arithmetic.

    Args:
        device: ``cpu``, ``cuda``, …; None takes a GPU where there is one.
        precision: the ``trainer.precision`` of the run: what it was tested in is what predicts.

    Raises:
        UserError: a device that this machine does not have.
    """

    def __init__(
        self, model: Classifier, about: Mapping[str, Any], *, device: str | None = None, precision: str = "32-true"
    ) -> None:
        self.device = choose_device(device)
        self.dtype = AUTOCAST.get(str(precision))
        if self.device.type == "cpu" and self.dtype == torch.float16:
            self.dtype = None  # processors do not calculate in it
        self.model = Deployed(model, about).eval().to(self.device)

    def __call__(self, images: Tensor) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Scores and probabilities, both (n, K), of uint8 images (n, C, H, W)."""
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            scores, probabilities = self.model(images.to(self.device))
        return scores.cpu().numpy(), probabilities.cpu().numpy()


def choose_device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"device={name}: this machine has no such device. Leave it out, or give device=cpu.") from error
    return device
