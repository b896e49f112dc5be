"""The protocol against a plain re-implementation that reads the files itself."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camri_exp.errors import UserError
from camri_exp.reporting.collect import collect
from camri_exp.reporting.selection import Protocol, TaskComparison, compare_methods
from tests.helpers.generated_runs import CLASSES, write_run, write_sweep


def judged(folder: Path, **rules: Any) -> list[TaskComparison]:
    return compare_methods(collect([folder]).runs, Protocol(**rules))


def random_sweep(folder: Path, seed: int) -> None:
    """Losses with settings of one to four seeds and random numbers, for two important classes."""
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
    result = json.loads((run / "result.json").read_text())
    for split, (accuracy, recalls) in numbers.items():
        result[split] |= {"accuracy": accuracy, "recall": dict(zip(CLASSES, recalls, strict=True))}
    (run / "result.json").write_text(json.dumps(result))


def plain_protocol(folder: Path, split: str, tolerance: float) -> dict[tuple[int, str], dict[int, tuple[float, float]]]:
    """By class and loss: test recall and accuracy by seed of the setting that counts, without this project's code."""
    results = [json.loads(path.read_text()) for path in folder.glob("*/result.json")]
    table = {}
    for k in (0, 2):
        settings: dict[Any, dict[int, Any]] = defaultdict(dict)
        for r in results:
            if r["class_free"] or r["important_class"] == [k]:
                settings[r["loss"], r["loss_parameters"]["margin"]][r["seed"]] = r
        recall, accuracy = {}, {}
        for key, runs in settings.items():
            recall[key] = np.mean([r[split]["recall"][CLASSES[k]] for r in runs.values()])
            accuracy[key] = np.mean([r[split]["accuracy"] for r in runs.values()])
        for loss in ("arcface", "camri", "wce"):
            fit = [key for key in settings if key[0] == loss and accuracy[key] >= accuracy["ce", 0] - tolerance]
            best = max(fit, key=recall.__getitem__, default=None)
            members = {} if best is None else settings[best]
            table[k, loss] = {s: (r["test"]["recall"][CLASSES[k]], r["test"]["accuracy"]) for s, r in members.items()}
    return table


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rules", [{}, {"tolerance": 0.03}, {"name": "paper"}], ids=str)
def test_protocol_is_the_plain_one(tmp_path: Path, seed: int, rules: dict[str, Any]) -> None:
    random_sweep(tmp_path, seed)
    expected = plain_protocol(tmp_path, "test" if rules.get("name") == "paper" else "val", rules.get("tolerance", 0.0))

    cases = judged(tmp_path, **rules)

    assert [one.task.important for one in cases] == [(0,), (2,)]
    for one in cases:
        assert [row.method for row in one.methods] == ["arcface", "camri", "wce"]
        for row in one.methods:
            mine = {s: (row.recall[s], row.accuracy[s]) for s in row.seeds}
            assert mine == expected[one.task.important[0], row.method]


def test_of_equal_recalls_the_more_accurate_setting_counts(tmp_path: Path) -> None:
    set_numbers(write_run(tmp_path / "ce", "ce", 0, class_free=True), {"val": (0.8, [0.5] * 3)})
    for margin, accuracy in ((1, 0.85), (2, 0.95), (3, 0.9)):
        run = write_run(tmp_path / str(margin), "camri", 0, parameters={"margin": margin})
        set_numbers(run, {"val": (accuracy, [0.7] * 3)})

    assert judged(tmp_path)[0].methods[0].label == "margin=2"


def test_selection_is_on_validation_and_the_report_on_test(tmp_path: Path) -> None:
    """The setting that is best on test loses to the one that is best on validation, but for protocol=paper."""
    write_run(tmp_path / "ce", "ce", 0, class_free=True)
    for margin, val, test in ((1, 0.9, 0.2), (2, 0.3, 0.8)):
        run = write_run(tmp_path / str(margin), "camri", 0, parameters={"margin": margin})
        set_numbers(run, {"val": (1.0, [val] * 3), "test": (1.0, [test] * 3)})

    assert judged(tmp_path)[0].methods[0].recall == {0: 0.2}
    assert judged(tmp_path, name="paper")[0].methods[0].recall == {0: 0.8}


def test_threshold_moving_is_the_best_of_all_biases(tmp_path: Path) -> None:
    """Against trying every bias on a fine grid, a run at a time."""
    write_sweep(tmp_path, range(2))
    one = judged(tmp_path)[0]

    assert one.threshold is not None
    for seed in range(2):
        arrays = np.load(tmp_path / f"ce+{seed}" / "predictions.npz")

        def at(bias: float, split: str, arrays: Any = arrays) -> tuple[float, float]:
            scores, target = arrays[f"{split}_scores"].astype(float), arrays[f"{split}_target"]
            hit = (scores + bias * np.eye(len(CLASSES))[0]).argmax(1) == target
            return float(hit[target == 0].mean()), float(hit.mean())

        keeping = [b for b in np.linspace(-10, 10, 4001) if at(b, "val")[1] >= at(0, "val")[1] - 1e-9]
        best = max(keeping, key=lambda b: at(b, "val")[0])
        same = [b for b in keeping if at(b, "val") == at(best, "val")]
        assert (one.threshold.recall[seed], one.threshold.accuracy[seed]) in {at(b, "test") for b in same}


def test_important_classes_together_are_a_case_of_their_own(tmp_path: Path) -> None:
    write_run(tmp_path / "ce", "ce", 0, class_free=True, important=(0,))
    write_run(tmp_path / "both", "camri", 0, important=(0, 2))
    one = judged(tmp_path)[0]

    recall = json.loads((tmp_path / "ce" / "result.json").read_text())["test"]["recall"]
    assert one.task.important == (0, 2)
    assert one.baseline.recall[0] == pytest.approx((recall[CLASSES[0]] + recall[CLASSES[2]]) / 2)


def test_unequal_seeds_and_single_ones_are_said(tmp_path: Path) -> None:
    write_sweep(tmp_path, range(3))
    write_run(tmp_path / "focal", "focal", 7, class_free=True)

    notes = " ".join(judged(tmp_path)[0].notes)

    assert "focal: 1 of 1 settings has other seeds than ce (seeds 0, 1, 2), for example default: seeds 7" in notes
    assert "focal: 1 of 1 settings has one seed only" in notes
    assert "camri" not in notes


def test_rank_of_the_class_is_said(tmp_path: Path) -> None:
    write_sweep(tmp_path, range(3))
    recalls = [
        np.mean([json.loads(p.read_text())["val"]["recall"][name] for p in tmp_path.glob("ce+*/result.json")])
        for name in CLASSES
    ]
    rank = 1 + sorted(recalls).index(recalls[0])

    assert f"the worst first: cat is {rank} ({recalls[0]:.4f})" in judged(tmp_path)[0].notes[0]


def test_several_settings_of_the_baseline(tmp_path: Path) -> None:
    for smoothing, noise in ((0, 1.3), (0.1, 0.5)):
        write_run(tmp_path / str(smoothing), "ce", 0, class_free=True, noise=noise, parameters={"s": smoothing})
    one = judged(tmp_path)[0]

    assert one.baseline.label == "s=0.1"
    assert "ce has 2 settings" in " ".join(one.notes)


def test_baseline_that_is_not_there_is_said(tmp_path: Path) -> None:
    write_sweep(tmp_path, range(1))
    with pytest.raises(UserError, match=r"baseline=cee: no finished run of it for cat of toy .* Did you mean 'ce'"):
        judged(tmp_path, baseline="cee")
    with pytest.raises(UserError, match="expected validation or paper"):
        judged(tmp_path, name="test")


@pytest.mark.parametrize(("split", "name"), [("val", "validation"), ("test", "test")])
def test_class_without_images_is_said(tmp_path: Path, split: str, name: str) -> None:
    write_sweep(tmp_path, range(2))
    for run in tmp_path.iterdir():
        set_numbers(run, {split: (0.9, [None, 0.9, 0.9])})  # as NaN is written
    with pytest.raises(UserError, match=f"the {name} split has no image of cat"):
        judged(tmp_path)


def test_what_else_differs_tells_settings_apart(tmp_path: Path) -> None:
    for lr in ("0.1", "0.01"):
        write_run(tmp_path / lr, "ce", 0, class_free=True, overrides=[f"optimizer.lr={lr}", "data=digits"])

    assert [setting.label for setting in judged(tmp_path)[0].configurations] == ["optimizer.lr=0.01", "optimizer.lr=0.1"]
