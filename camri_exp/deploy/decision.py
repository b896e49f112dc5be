"""The threshold as a part of the exported model, so that its users add nothing to the scores."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from camri_exp.metrics.threshold import Bias, moved
from camri_exp.models.inference import Predictor

Array = npt.NDArray[Any]


class PredictingModel(nn.Module):
    """``forward(images) -> scores (N, K), probabilities (N, K), prediction (N,)``, the last int64.

    The prediction is that of ``threshold.moved``, from comparisons, maxima and indices in float32, which every runtime
    of ONNX has.

    Args:
        model: images to scores and probabilities.
        num_classes: K.
        important: ids of the important classes.
        bias: added to the scores of all important classes, or of each.
    """

    important: Tensor
    bias: Tensor
    others: Tensor

    def __init__(self, model: nn.Module, num_classes: int, important: Sequence[int], bias: Bias) -> None:
        super().__init__()
        self.model = model
        biases = torch.as_tensor(bias, dtype=torch.float32).expand(len(important))
        order = sorted(range(len(important)), key=lambda i: important[i])
        self.register_buffer("important", torch.tensor([important[i] for i in order]))
        self.register_buffer("bias", biases[order])
        self.register_buffer("others", torch.tensor([k for k in range(num_classes) if k not in important]))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores, probabilities = self.model(images)
        return scores, probabilities, self.decide(scores)

    def decide(self, scores: Tensor) -> Tensor:
        """Predictions (N,) from scores (N, K)."""
        if not len(self.others):
            return scores.argmax(1)
        outside, inside = scores.index_select(1, self.others), scores.index_select(1, self.important)
        best_other, biased = outside.amax(1, keepdim=True), inside + self.bias
        other = self.others[outside.argmax(1)]
        # Of equal scores the first class is predicted, as by argmax.
        tied = (biased == best_other) & (self.important < other[:, None])
        lowest = torch.finfo(scores.dtype).min
        candidates = torch.where((biased > best_other) | tied, inside, lowest)
        return torch.where(candidates.amax(1) > lowest, self.important[candidates.argmax(1)], other)


def predicting(predictor: Predictor, important: Sequence[int], bias: Bias) -> Callable[[Array], tuple[Array, ...]]:
    """``predictor`` as a function of pixels to scores, probabilities and the predictions that ``predict`` gives."""

    def run(pixels: Array) -> tuple[Array, ...]:
        scores, probabilities = predictor(torch.from_numpy(pixels))
        return scores, probabilities, moved(scores, important, bias)

    return run
