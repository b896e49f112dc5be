"""The numbers of the recall slider, against moving the threshold by hand."""

from pathlib import Path

import numpy as np

from camri_exp.metrics import threshold
from camri_exp.reporting.charts import colours_of
from camri_exp.reporting.collect import collect
from camri_exp.reporting.recall_slider import recall_slider
from camri_exp.reporting.selection import Protocol, compare_methods
from camri_exp.reporting.threshold_baseline import mean_curve
from tests.helpers.generated_runs import write_run, write_sweep


def test_accuracy_and_missed_images_are_those_of_the_moved_threshold(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path / f"ce{seed}", "ce", seed, images=90, noise=1.5)
    (comparison,) = compare_methods(collect([tmp_path]).runs, Protocol())
    slider = recall_slider(comparison, colours_of(comparison, {}), {"ce": "CE"})
    assert slider is not None
    (method,) = slider.methods
    curve = mean_curve(collect([tmp_path]).runs, [0])
    assert curve is not None
    for position in range(0, 201, 20):
        accuracies, missed = [], {}
        for seed in range(3):
            arrays = np.load(tmp_path / f"ce{seed}" / "predictions.npz")
            scores, target = arrays["test_scores"], arrays["test_target"]
            prediction = threshold.moved(scores, [0], curve.bias[position])
            accuracies.append((prediction == target).mean())
            for index in np.flatnonzero((target == 0) & (prediction != 0)):
                missed[f"image {index}"] = missed.get(f"image {index}", 0) + 1
        assert abs(method.accuracy[position] - np.mean(accuracies)) < 1e-4
        listed = {name: sum(start > position for start in starts) for name, starts in method.found.items()}
        assert {name: count for name, count in listed.items() if count} == missed


def test_slider_starts_at_the_recall_of_the_baseline(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    (comparison,) = compare_methods(collect([tmp_path]).runs, Protocol())
    slider = recall_slider(comparison, colours_of(comparison, {}), {})
    assert slider is not None
    recall = np.mean(list(comparison.baseline.recall.values()))
    assert slider.recalls[slider.start - 1] < recall <= slider.recalls[slider.start] + 1e-9
    assert slider.methods[0].name == "ce"


def test_no_slider_without_predictions(tmp_path: Path) -> None:
    write_sweep(tmp_path)
    for path in tmp_path.glob("*/predictions.npz"):
        path.unlink()
    (comparison,) = compare_methods(collect([tmp_path]).runs, Protocol())
    assert recall_slider(comparison, colours_of(comparison, {}), {}) is None
