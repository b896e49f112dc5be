"""A trained classifier as a function of uint8 images: ``images -> scores, probabilities``."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from camri_exp.errors import UserError
from camri_exp.models.classifier import Classifier

AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class DeployedModel(nn.Module):
    """``forward(images uint8 (N, C, H, W)) -> scores (N, K), probabilities (N, K)``, both float32."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.classifier(images).float()
        return scores, self.classifier.loss.probabilities(scores)


class Predictor:
    """Runs a classifier on batches of images.

    Args:
        model: the classifier.
        device: ``cpu``, ``cuda``, …; None uses a GPU where there is one.
        precision: ``trainer.precision`` of the run, so that predictions use the precision that was tested.

    Raises:
        UserError: a device that this machine does not have.
    """

    def __init__(self, model: Classifier, *, device: str | None = None, precision: str = "32-true") -> None:
        self.device = choose_device(device)
        self.dtype = AUTOCAST.get(str(precision))
        if self.device.type == "cpu" and self.dtype == torch.float16:
            self.dtype = None  # not supported on CPUs
        self.model = DeployedModel(model).eval().to(self.device)

    def __call__(self, images: Tensor) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Scores and probabilities, both (n, K), of uint8 images (n, C, H, W)."""
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            scores, probabilities = self.model(images.to(self.device))
        return scores.cpu().numpy(), probabilities.cpu().numpy()


def choose_device(name: str | None) -> torch.device:
    """The device called ``name``; with None, a GPU where there is one, else the CPU.

    Raises:
        UserError: this machine has no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"device={name}: this machine has no such device. Omit it, or use device=cpu.") from error
    return device
