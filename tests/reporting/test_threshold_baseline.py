"""The threshold curve of several runs: exact for one run, and no worse than the runs themselves."""

from pathlib import Path

import numpy as np

from camri_exp.metrics import threshold
from camri_exp.reporting.collect import Run, collect
from camri_exp.reporting.threshold_baseline import mean_curve
from tests.helpers.generated_runs import write_run


def runs_of(folder: Path, noises: list[float]) -> list[Run]:
    for seed, noise in enumerate(noises):
        write_run(folder / str(seed), "ce", seed, noise=noise, images=60)
    return collect([folder]).runs


def test_curve_of_one_run_is_the_best_accuracy_at_each_recall(tmp_path: Path) -> None:
    (run,) = runs_of(tmp_path, [1.5])
    scores, target = np.load(run.folder / "predictions.npz")["test_scores"], np.arange(60) % 3
    tried = [threshold.at(scores, target, [0], bias) for bias in np.linspace(-12, 12, 4801)]
    curve = mean_curve([run], [0])
    assert curve is not None
    for accuracy, recall in zip(curve.accuracy, curve.recall, strict=True):
        assert accuracy == max(point.accuracy for point in tried if point.recall >= recall - 1e-9)


def test_mean_of_unmoved_runs_does_not_lie_above_their_curve(tmp_path: Path) -> None:
    """As it would with a mean at equal recall, which moves the runs with low recall far."""
    runs = runs_of(tmp_path, [0.5, 1.0, 2.5])
    recall = np.mean([run.recall("test", [0]) for run in runs])
    accuracy = np.mean([run.accuracy("test") for run in runs])
    curve = mean_curve(runs, [0])
    assert curve is not None
    below = [value for value, level in zip(curve.accuracy, curve.recall, strict=True) if level <= recall]
    assert below[-1] >= accuracy
