"""The selection of configurations against a plain re-implementation that reads the files itself."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camri_exp.errors import UserError
from camri_exp.metrics.non_inferiority import not_worse
from camri_exp.reporting.collect import collect
from camri_exp.reporting.selection import Protocol, TaskComparison, compare_methods
from tests.helpers.generated_runs import CLASSES, write_run, write_sweep
from tests.helpers.results import result_of


def compared(folder: Path, **rules: Any) -> list[TaskComparison]:
    return compare_methods(collect([folder]).runs, Protocol(**rules))


def random_sweep(folder: Path, seed: int) -> None:
    """Losses with configurations of one to four seeds and random numbers, for two important classes."""
    rng = np.random.default_rng(seed)
    for loss, free in (("ce", True), ("arcface", True), ("camri", False), ("wce", False)):
        for important in [(0,)] if free else [(0,), (2,)]:
            for margin in range(1 if loss == "ce" else 4):
                for run_seed in rng.choice(5, size=rng.integers(1, 5), replace=False):
                    run = write_run(
                        folder / f"{loss}-{important[0]}-{margin}-{run_seed}", loss, int(run_seed),
                        important=important, class_free=free, parameters={"margin": margin}, images=30,
                    )  # fmt: skip
                    set_numbers(run, {s: (rng.uniform(0.8, 1), list(rng.uniform(0.5, 1, 3))) for s in ("val", "test")})


def set_numbers(run: Path, numbers: dict[str, tuple[float, list[Any]]]) -> None:
    """Replace accuracy and recalls by split in a run's ``result.json``."""
    result = result_of(run)
    for split, (accuracy, recalls) in numbers.items():
        result[split] |= {"accuracy": accuracy, "recall": dict(zip(CLASSES, recalls, strict=True))}
    (run / "result.json").write_text(json.dumps(result))


def plain_protocol(folder: Path, split: str, tolerance: float) -> dict[tuple[int, str], dict[int, tuple[float, float]]]:
    """By class and loss: test recall and accuracy by seed of the selected configuration, in plain Python."""
    results = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    table = {}
    for k in (0, 2):
        configurations: dict[Any, dict[int, Any]] = defaultdict(dict)
        for r in results:
            if r["class_free"] or r["important_class"] == [k]:
                configurations[r["loss"], r["loss_parameters"]["margin"]][r["seed"]] = r
        recall, accuracy, base = {}, {}, configurations["ce", 0]
        needed = min(max(2, (len(base) + 1) // 2), len(base))
        for key, runs in configurations.items():
            common = [s for s in runs if s in base]
            if len(common) < needed:  # a single run on an easy split cannot be selected
                continue
            recall[key] = np.mean([_gain(runs[s], base[s], split, k)[0] for s in common])
            accuracy[key] = np.mean([_gain(runs[s], base[s], split, k)[1] for s in common])
        for loss in ("arcface", "camri", "wce"):
            fit = [key for key in recall if key[0] == loss and accuracy[key] >= -tolerance]
            best = max(fit, key=recall.__getitem__, default=None)
            members = {} if best is None else configurations[best]
            table[k, loss] = {s: (r["test"]["recall"][CLASSES[k]], r["test"]["accuracy"]) for s, r in members.items()}
    return table


def _gain(run: dict[str, Any], base: dict[str, Any], split: str, k: int) -> tuple[float, float]:
    recalls = [r[split]["recall"][CLASSES[k]] for r in (run, base)]
    return recalls[0] - recalls[1], run[split]["accuracy"] - base[split]["accuracy"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rules", [{}, {"tolerance": 0.03}, {"name": "paper"}], ids=str)
def test_selection_is_that_of_the_plain_implementation(tmp_path: Path, seed: int, rules: dict[str, Any]) -> None:
    random_sweep(tmp_path, seed)
    expected = plain_protocol(tmp_path, "test" if rules.get("name") == "paper" else "val", rules.get("tolerance", 0.0))

    comparisons = compared(tmp_path, **rules)

    assert [comparison.task.important for comparison in comparisons] == [(0,), (2,)]
    for comparison in comparisons:
        assert [row.method for row in comparison.methods] == ["arcface", "camri", "wce"]
        for row in comparison.methods:
            mine = {s: (row.recall[s], row.accuracy[s]) for s in row.seeds}
            assert mine == expected[comparison.task.important[0], row.method]


def test_of_equal_recalls_the_more_accurate_configuration_is_selected(tmp_path: Path) -> None:
    set_numbers(write_run(tmp_path / "ce", "ce", 0, class_free=True), {"val": (0.8, [0.5] * 3)})
    for margin, accuracy in ((1, 0.85), (2, 0.95), (3, 0.9)):
        run = write_run(tmp_path / str(margin), "camri", 0, parameters={"margin": margin})
        set_numbers(run, {"val": (accuracy, [0.7] * 3)})

    assert compared(tmp_path)[0].methods[0].label == "margin=2"


def test_selection_is_on_validation_and_the_report_on_test(tmp_path: Path) -> None:
    """Best on validation is selected, although another configuration is best on test; except with protocol=paper."""
    write_run(tmp_path / "ce", "ce", 0, class_free=True)
    for margin, val, test in ((1, 0.9, 0.2), (2, 0.3, 0.8)):
        run = write_run(tmp_path / str(margin), "camri", 0, parameters={"margin": margin})
        set_numbers(run, {"val": (1.0, [val] * 3), "test": (1.0, [test] * 3)})

    assert compared(tmp_path)[0].methods[0].recall == {0: 0.2}
    assert compared(tmp_path, name="paper")[0].methods[0].recall == {0: 0.8}


@pytest.mark.slow
def test_threshold_moving_keeps_the_accuracy_to_within_the_margin(tmp_path: Path) -> None:
    """Against trying every bias on a fine grid, for each run, with the test of the metrics."""
    for seed in range(2):
        write_run(tmp_path / f"ce{seed}", "ce", seed, class_free=True, images=3000, shift=-0.6)
    comparison = compared(tmp_path, margin=0.01)[0]

    assert comparison.threshold is not None
    for seed in range(2):
        arrays = np.load(tmp_path / f"ce{seed}" / "predictions.npz")
        scores, target = arrays["val_scores"].astype(float), arrays["val_target"]
        before, allowed = scores.argmax(1) == target, []
        for bias in np.linspace(0, 2, 2001):
            hit = (scores + bias * np.eye(len(CLASSES))[0]).argmax(1) == target
            gained, lost = (hit & ~before).sum(), (before & ~hit).sum()
            if not not_worse(gained, lost, len(target), 0.01):
                break
            allowed.append(hit[target == 0].mean())
        assert max(allowed) > before[target == 0].mean() + 0.02
        moved = comparison.thresholds[seed].moved
        assert moved.selection_recall == pytest.approx(max(allowed), abs=2e-3)
        assert comparison.threshold.accuracy[seed] > before.mean() - 0.02


def test_too_few_images_for_the_margin_do_not_move_the_threshold(tmp_path: Path) -> None:
    """Every bias that costs nothing on 300 validation images was accepted, and cost accuracy elsewhere."""
    write_run(tmp_path / "ce", "ce", 0, class_free=True, shift=-0.6)
    assert compared(tmp_path)[0].thresholds[0].moved.bias == 0


def test_several_important_classes_are_one_task(tmp_path: Path) -> None:
    write_run(tmp_path / "ce", "ce", 0, class_free=True, important=(0,))
    write_run(tmp_path / "both", "camri", 0, important=(0, 2))
    comparison = compared(tmp_path)[0]

    recall = result_of(tmp_path / "ce")["test"]["recall"]
    assert comparison.task.important == (0, 2)
    assert comparison.baseline.recall[0] == pytest.approx((recall[CLASSES[0]] + recall[CLASSES[2]]) / 2)


def test_unequal_seeds_and_single_ones_are_noted(tmp_path: Path) -> None:
    write_sweep(tmp_path, range(3))
    write_run(tmp_path / "focal", "focal", 7, class_free=True)

    notes = " ".join(compared(tmp_path)[0].notes)

    assert "focal: 1 of 1 configurations has other seeds than ce (seeds 0, 1, 2), for example default: seeds 7" in notes
    assert "focal: 1 of 1 configurations has a single seed" in notes
    assert "camri" not in notes


def test_rank_of_the_class_is_noted(tmp_path: Path) -> None:
    write_sweep(tmp_path, range(3))
    recalls = [
        np.mean([json.loads(p.read_text())["val"]["recall"][name] for p in tmp_path.glob("ce+*/result.json")])
        for name in CLASSES
    ]
    rank = 1 + sorted(recalls).index(recalls[0])

    assert f"worst first: cat is {rank} ({recalls[0]:.4f})" in compared(tmp_path)[0].notes[0]


def test_several_configurations_of_the_baseline(tmp_path: Path) -> None:
    for smoothing, noise in ((0, 1.3), (0.1, 0.5)):
        write_run(tmp_path / str(smoothing), "ce", 0, class_free=True, noise=noise, parameters={"s": smoothing})
    comparison = compared(tmp_path)[0]

    assert comparison.baseline.label == "s=0.1"
    assert "ce has 2 configurations" in " ".join(comparison.notes)


def test_missing_baseline_is_an_error(tmp_path: Path) -> None:
    write_sweep(tmp_path, range(1))
    with pytest.raises(UserError, match=r"baseline=cee: no finished run of it for cat of toy .* Did you mean 'ce'"):
        compared(tmp_path, baseline="cee")


@pytest.mark.parametrize(("split", "name"), [("val", "validation"), ("test", "test")])
def test_class_without_images_is_an_error(tmp_path: Path, split: str, name: str) -> None:
    write_sweep(tmp_path, range(2))
    for run in tmp_path.iterdir():
        set_numbers(run, {split: (0.9, [None, 0.9, 0.9])})  # as NaN is written
    with pytest.raises(UserError, match=f"the {name} split has no image of cat"):
        compared(tmp_path)


def test_other_differences_distinguish_configurations(tmp_path: Path) -> None:
    for lr in ("0.1", "0.01"):
        write_run(tmp_path / lr, "ce", 0, class_free=True, overrides=[f"optimizer.lr={lr}", "data=digits"])

    assert [configuration.label for configuration in compared(tmp_path)[0].configurations] == [
        "optimizer.lr=0.01",
        "optimizer.lr=0.1",
    ]


def test_runs_that_were_tested_on_different_images_are_not_compared(tmp_path: Path) -> None:
    """Runs of earlier versions have no fingerprint and are compared as before."""
    write_sweep(tmp_path)

    def set_fingerprint(pattern: str, value: str) -> None:
        for path in tmp_path.glob(f"{pattern}/result.json"):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"data_fingerprint": value}))

    before = compared(tmp_path)
    set_fingerprint("ce+*", "a")
    assert len(compared(tmp_path)) == len(before)
    set_fingerprint("*", "a")
    assert len(compared(tmp_path)) == len(before)
    for path in tmp_path.glob("*/result.json"):  # each fold of a cross-validation tests other images
        result = json.loads(path.read_text())
        fold = {"folds": 50, "fold": result["seed"], "data_fingerprint": f"fold {result['seed']}"}
        path.write_text(json.dumps(result | fold))
    assert len(compared(tmp_path)) == len(before)
    set_fingerprint("camri+0.1*", "b")
    with pytest.raises(UserError, match=r"were tested on different images of toy: the data, or a key that selects it"):
        compared(tmp_path)
