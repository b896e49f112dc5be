"""Losses: a margin on the score of the target alone

One step of head and loss, forward and backward, for 256 features of 512 dimensions in float32. L2-softmax is our own
implementation: the same code with margins of zero. Plain softmax is the cross-entropy of the scaled cosines and nothing
else, so that the ratio to it is the whole cost of the margin. The last baseline adds the margin to the angles of all
classes under a one-hot mask, by acos and cos, as the code of the authors of CAMRI does.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks._harness import Measurement, in_turn, seconds
from camri_exp.losses import CAMRILoss, L2SoftmaxLoss
from camri_exp.models.heads import CosineHead

N, D = 256, 512
MARGIN, SCALE = 0.2, 16.0
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def measure(quick: bool) -> list[Measurement]:
    measurements = []
    for num_classes, calls, target in ((43, 20, ""), (10_000, 1, "ratio <= 0.8")):
        times = in_turn(
            2 if quick else 25,
            ours=step(CAMRILoss(num_classes, 0, MARGIN, SCALE), num_classes, calls),
            l2=step(L2SoftmaxLoss(num_classes, SCALE), num_classes, calls),
            plain=step(PlainSoftmax(), num_classes, calls),
            acos=step(AcosOfAll(), num_classes, calls),
        )
        what = f"CAMRI, head and loss, {num_classes:,} classes"
        measurements.append(Measurement.of(what, times["ours"], "ms", "L2-softmax", times["l2"], "ratio <= 1.15"))
        measurements.append(Measurement.of(what, times["ours"], "ms", "plain softmax", times["plain"]))
        measurements.append(Measurement.of(what, times["ours"], "ms", "acos of all scores", times["acos"], target))
    return measurements


def step(loss: nn.Module, num_classes: int, calls: int) -> Callable[[], float]:
    """A measurement: milliseconds per step. Targets are among the first 43 classes; class 0 is the important one."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(N, D, generator=generator).to(DEVICE).requires_grad_()
    target = torch.randint(43, (N,), generator=generator).to(DEVICE)
    head, loss = CosineHead(D, num_classes).to(DEVICE), loss.to(DEVICE)

    def run() -> None:
        features.grad = head.weight.grad = None
        loss(head(features), target).backward()
        head.weight.grad[0, 0].item()  # waits for a GPU

    measurement = seconds(run, calls)
    return lambda: 1000 * measurement()


class PlainSoftmax(nn.Module):
    """L2-softmax without the code for a margin."""

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(SCALE * scores, target)


class AcosOfAll(nn.Module):
    """CAMRI with class 0 as the important one, computed from the angles of all scores."""

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        angles = scores.clamp(-1 + 1e-7, 1 - 1e-7).acos()
        of_target = F.one_hot(target, scores.shape[1])
        important = torch.arange(scores.shape[1], device=scores.device) == 0
        return F.cross_entropy(SCALE * (angles + MARGIN * important * of_target).cos(), target)
