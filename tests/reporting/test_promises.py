"""The price of a promise over seeds, against the rule and counting."""

import numpy as np
import pytest

from camri_exp.metrics import promise as rule
from camri_exp.metrics import threshold
from camri_exp.reporting import runs
from camri_exp.reporting.charts import charts
from camri_exp.reporting.collect import collect
from camri_exp.reporting.promises import HEADER, Asked, caption, price_chart, table, task_prices
from camri_exp.reporting.selection import Protocol, compare_methods
from tests.helpers.generated_runs import write_run

ASKED = Asked(0.8, 0.95)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """Cross-entropy, and a loss with two configurations; ``margin=2`` has so noisy scores that it is never cheap."""
    folder = tmp_path_factory.mktemp("sweep")
    for seed in range(3):
        runs = [write_run(folder / f"ce{seed}", "ce", seed, class_free=True)]
        for margin, noise in ((1, 0.9), (2, 1.8)):
            runs.append(
                write_run(folder / f"{margin}{seed}", "camri", seed, noise=noise, parameters={"margin": margin})
            )
        for run in runs:  # calibration images like those of test
            add_calibration(run)
    return compare_methods(collect([folder]).runs, Protocol())[0]


def add_calibration(run):
    with np.load(run / "predictions.npz") as file:
        arrays = dict(file)
    random = np.random.default_rng(len(run.name))
    index = random.permutation(len(arrays["test_target"]))
    arrays["calibration_target"] = arrays["test_target"][index]
    arrays["calibration_scores"] = arrays["test_scores"][index] + random.normal(0, 0.01, (len(index), 3)).astype("f4")
    np.savez(run / "predictions.npz", **arrays)


def counted(run, recall=ASKED.recall, split="calibration"):
    """Bias, accuracy, false alarms and recall on test, from the rule itself."""
    stored = np.load(run.folder / "predictions.npz")
    scores, target = stored[f"{split}_scores"], stored[f"{split}_target"]
    bias = rule.recall_threshold(scores[target == 0], [0], 0, recall, ASKED.confidence).bias
    prediction, target = threshold.moved(stored["test_scores"], [0], bias), stored["test_target"]
    return (
        bias,
        (prediction == target).mean(),
        (prediction[target != 0] == 0).mean(),
        (prediction[target == 0] == 0).mean(),
    )


def test_each_seed_pays_the_price_on_its_own_test_images(comparison):
    prices = task_prices(comparison, ASKED)
    assert [method.loss for method in prices.methods] == ["ce", "camri"]
    assert prices.is_promise
    for method in prices.methods:
        assert set(method.prices) == {0, 1, 2}
        for seed, made in method.prices.items():
            _, accuracy, alarms, recall = counted(method.runs[seed])
            assert (made.accuracy, made.false_alarms, made.recall) == pytest.approx((accuracy, alarms, recall))


def test_the_curve_reads_the_predictions_of_a_run_once(comparison, monkeypatch):
    """They were read again for each recall and array, a hundred times per run."""
    read, reads = runs.read_predictions, []
    monkeypatch.setattr(runs, "read_predictions", lambda path, names: reads.append(path) or read(path, names))
    prices = task_prices(comparison, ASKED)
    price_chart(prices, "0", {"ce": "#000000", "camri": "#ff0000"}, {})
    chosen = [run.folder / "predictions.npz" for method in prices.methods for run in method.runs.values()]
    considered = [run.folder / "predictions.npz" for c in comparison.candidates for run in c.runs.values()]
    assert sorted(reads) == sorted([*chosen, *considered])


def test_the_cheaper_configuration_is_chosen_by_the_other_seeds(comparison):
    camri = task_prices(comparison, ASKED).methods[1]
    assert {run.parameters["margin"] for run in camri.runs.values()} == {1}


def test_the_table_compares_with_the_unchanged_and_the_promised_baseline(comparison):
    prices = task_prices(comparison, ASKED)
    header, rows = table(prices, {"ce": "CE"})
    assert tuple(header) == HEADER
    assert [row[:2] for row in rows] == [["CE", "3"], ["camri", "3"]]
    ce, camri = (np.mean([made.accuracy for made in method.prices.values()]) for method in prices.methods)
    unchanged = np.mean(list(prices.unchanged.values()))
    assert rows[0][3].startswith(f"{100 * (ce - unchanged):+.2f} (")
    assert rows[0][4] == "-"
    assert rows[1][4].startswith(f"{100 * (camri - ce):+.2f} (")
    kept = sum(made.recall >= 0.8 for made in prices.methods[0].prices.values())
    assert rows[0][-1] == f"{kept} of 3"
    assert "a recall of 80 % is promised with 95 % confidence" in caption(prices)


def test_a_recall_that_nobody_can_promise_has_no_price(comparison):
    prices = task_prices(comparison, Asked(0.99, 0.95))
    _, rows = table(prices, {})
    assert [row[1:] for row in rows] == [["0", *["-"] * (len(HEADER) - 2)]] * 2


def test_the_chart_ends_where_the_promises_end(comparison):
    prices = task_prices(comparison, ASKED)
    chart = price_chart(prices, "cat", {"ce": "blue", "camri": "red"}, {"ce": "CE"})
    assert [series.name for series in chart.series] == ["CE", "camri"]
    assert chart.reference.x == 0.8
    for series, method in zip(chart.series, prices.methods, strict=True):
        assert max(series.x) < 0.99
        index = series.x.index(0.8)
        changes = [made.accuracy - prices.unchanged[seed] for seed, made in method.prices.items()]
        assert series.y[index] == pytest.approx(100 * np.mean(changes))
    assert "promise" in charts(comparison, Protocol(), {}, prices)
    assert "promise" not in charts(comparison, Protocol(), {})


def test_validation_gives_an_estimate_that_is_called_one(tmp_path):
    for seed in range(2):
        write_run(tmp_path / f"ce{seed}", "ce", seed, class_free=True)
    (comparison,) = compare_methods(collect([tmp_path]).runs, Protocol())
    prices = task_prices(comparison, ASKED)
    assert not prices.is_promise
    assert "is estimated, not promised, with 95 % confidence" in caption(prices)
    assert "data.calibration_fraction" in caption(prices)
    for seed, made in prices.methods[0].prices.items():
        assert made.accuracy == pytest.approx(counted(prices.methods[0].runs[seed], split="val")[1])
