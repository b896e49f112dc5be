"""The prediction inside the exported model equals that of ``threshold.moved``."""

import numpy as np
import pytest
import torch
from torch import nn

from camri_exp.deploy.decision import PredictingModel
from camri_exp.metrics import threshold


class Scores(nn.Module):
    """Scores are the images themselves, and so are the probabilities."""

    def forward(self, images):
        return images, images


@pytest.mark.parametrize("step", [2.0**-20, 0.125, 1.0])  # with large steps, many scores are equal
@pytest.mark.parametrize(
    ("important", "bias"),
    [([1], 0.0), ([1], 1.0), ([4], -0.5), ([0], 2.0), ([3, 1], [1.0, -1.0]), ([1, 3], 0.5), ([0, 1, 2, 3, 4], 1.0)],
)
def test_the_prediction_is_that_of_the_moved_threshold(important, bias, step):
    scores = (np.random.default_rng(0).normal(size=(2000, 5)) // step * step).astype(np.float32)
    model = PredictingModel(Scores(), 5, important, bias)
    _, _, prediction = model(torch.from_numpy(scores))
    assert prediction.dtype == torch.int64
    np.testing.assert_array_equal(prediction.numpy(), threshold.moved(scores, important, bias))
