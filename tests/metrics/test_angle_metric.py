"""The angle statistics that training accumulates over batches."""

import numpy as np
import pytest
import torch

from camri_exp.metrics.angle_metric import OwnClassAngle, angle_summary
from camri_exp.metrics.angles import angle_to_class, own_class_angles


def test_the_summary_over_batches_equals_the_statistics_of_all_angles():
    random = np.random.default_rng(0)
    cosines, target = random.uniform(-1, 1, (90, 5)).astype(np.float32), random.integers(5, size=90)
    metric = OwnClassAngle(5)
    for batch in np.split(np.arange(90), [40, 41]):
        metric.update(torch.from_numpy(cosines[batch]), torch.from_numpy(target[batch]))
    summary = angle_summary(metric.compute(), [1, 4])
    expected = own_class_angles(angle_to_class(cosines, target), target, [1, 4], 5)
    for side in ("important", "rest"):
        assert summary[f"angle_mean_{side}"] == pytest.approx(getattr(expected, f"mean_{side}"), abs=1e-5)
        assert summary[f"angle_var_{side}"] == pytest.approx(getattr(expected, f"var_{side}"), abs=1e-5)
