"""The threshold curve, against adding a bias and counting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from camri_exp.metrics import confusion, threshold
from camri_exp.metrics.non_inferiority import not_worse
from camri_exp.metrics.tuned_threshold import tuned_threshold


def random_case(seed, n=60, classes=5, decimals=None):
    random = np.random.default_rng(seed)
    scores = random.normal(size=(n, classes)).astype(np.float32)
    target = random.integers(classes, size=n)
    scores[np.arange(n), target] += 1
    return (scores if decimals is None else scores.round(decimals)), target


def counted(scores, target, important, bias):
    """Recall, precision and accuracy by brute force: add the bias, predict, count."""
    shifted = scores.astype(np.float64)
    shifted[:, important] += bias
    matrix = np.zeros((scores.shape[1],) * 2, dtype=int)
    np.add.at(matrix, (target, shifted.argmax(1)), 1)
    metrics = confusion.summarize(matrix, important, [str(k) for k in range(scores.shape[1])])
    return metrics.recall_important, metrics.precision_important, metrics.accuracy


@pytest.mark.parametrize("important", [[2], [0], [1, 4]])
@pytest.mark.parametrize("decimals", [None, 1])
def test_every_point_equals_adding_its_bias(important, decimals):
    for seed in range(5):
        scores, target = random_case(seed, decimals=decimals)
        curve = threshold.curve(scores, target, important)
        for i in range(len(curve)):
            metrics = counted(scores, target, important, curve.bias[i])
            assert metrics == pytest.approx((curve.recall[i], curve.precision[i], curve.accuracy[i])), i
            point = threshold.at(scores, target, important, curve.bias[i])
            assert vars(point) == pytest.approx(vars(curve.point(i)))


def test_no_point_is_missing():
    scores, target = random_case(0)
    curve = threshold.curve(scores, target, [3])
    seen = {(round(a, 9), round(b, 9)) for a, b in zip(curve.recall, curve.accuracy, strict=True)}
    for bias in np.linspace(-8, 8, 4001):
        recall, _, accuracy = counted(scores, target, [3], bias)
        assert (round(recall, 9), round(accuracy, 9)) in seen


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 30), classes=st.integers(2, 5))
def test_recall_increases_with_the_bias(seed, n, classes):
    scores, target = random_case(seed, n, classes, decimals=1)
    curve = threshold.curve(scores, target, [0])
    assert (np.diff(curve.bias) > 0).all()
    assert (np.diff(curve.recall) >= 0).all()
    assert curve.recall[0] == 0


@pytest.mark.parametrize("decimals", [None, 0])
@pytest.mark.parametrize("important", [[0], [2], [4], [1, 3]])
def test_bias_zero_is_the_unchanged_model_also_with_tied_scores(important, decimals):
    for seed in range(20):
        scores, target = random_case(seed, n=40, decimals=decimals)
        curve = threshold.curve(scores, target, important)
        here = int(np.flatnonzero(curve.bias == 0)[0])
        assert counted(scores, target, important, 0.0)[::2] == pytest.approx((curve.recall[here], curve.accuracy[here]))
        assert (np.diff(curve.bias) > 0).all()


@pytest.mark.slow
def test_keeping_gives_the_largest_recall_that_keeps_the_accuracy():
    for seed in range(10):
        scores, target = random_case(seed)
        unchanged = (scores.argmax(1) == target).mean()
        chosen = threshold.keeping(threshold.curve(scores, target, [1]), unchanged)
        tried = [counted(scores, target, [1], b) for b in np.linspace(-8, 8, 2001)]
        assert chosen.recall >= max(recall for recall, _, accuracy in tried if accuracy >= unchanged - 1e-9)
        assert chosen.accuracy >= unchanged - 1e-9
        assert counted(scores, target, [1], chosen.bias)[0] == pytest.approx(chosen.recall)


def test_a_perfect_model_is_not_changed():
    target = np.arange(30) % 3
    scores = np.eye(3)[target] * 2
    assert threshold.keeping(threshold.curve(scores, target, [1]), 1.0).bias == 0


def test_full_recall_on_validation_is_not_traded_for_accuracy():
    scores = np.array([[0.0, 3.0], [2.0, 0.0], [0.0, 1.0]])  # the last is predicted as the important class
    target = np.array([1, 0, 0])
    curve = threshold.curve(scores, target, [1])
    assert curve.accuracy.max() == 1, "a bias between -1 and -3 keeps the recall and corrects the mistake"
    assert threshold.keeping(curve, 2 / 3) == threshold.Point(0.0, 1.0, 0.5, pytest.approx(2 / 3))
    assert -3 < threshold.keeping(curve, 1.0).bias < -1, "a required accuracy may need a negative bias"


def tango(gained, lost, n, margin):
    """Tango's score test with the likelihood maximised numerically."""

    def minus_log_likelihood(q):
        shares = np.maximum([q - margin, q, 1 - 2 * q + margin], 1e-300)
        return -(np.array([gained, lost, n - gained - lost]) * np.log(shares)).sum()

    bounds = (margin, (1 + margin) / 2)
    q = optimize.minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return stats.norm.sf((gained - lost + n * margin) / np.sqrt(n * (2 * q - margin * (1 + margin))))


@pytest.mark.parametrize(("n", "margin"), [(180, 0.02), (700, 0.01), (5000, 0.005)])
def test_not_worse_is_the_score_test_of_tango(n, margin):
    for gained, lost in [(0, 0), (3, 0), (0, 2), (5, 9), (20, 30), (30, 20), (0, 12)]:
        assert not_worse(gained, lost, n, margin) == (tango(gained, lost, n, margin) < 0.05)


def test_the_fewest_images_that_can_show_the_margin():
    assert not_worse(0, 0, 540, 0.005)
    assert not not_worse(0, 0, 530, 0.005)


def test_the_tuned_bias_rarely_costs_more_than_the_margin():
    """The largest bias that lost nothing on the validation images themselves cost more in a third of the cases."""
    random, costs = np.random.default_rng(0), []
    everyone = scores_and_target(random, 20_000)
    for _ in range(60):
        tuned = tuned_threshold(*scores_and_target(random, 1000), [0], margin=0.02)
        before, after = (threshold.at(*everyone, [0], bias).accuracy for bias in (0.0, tuned.bias))
        costs.append(before - after)
    assert np.mean(np.array(costs) > 0.02) < 0.1


def scores_and_target(random, n):
    target = random.integers(4, size=n)
    return 1.6 * np.eye(4)[target] + random.normal(size=(n, 4)), target


def test_a_calibrated_model_is_compared_with_the_hits_of_the_unmoved_one():
    scores, target = scores_and_target(np.random.default_rng(0), 3000)
    worse = scores - 3 * np.eye(4)[0]
    assert tuned_threshold(scores, target, [0], reference=scores.argmax(1) == target) == tuned_threshold(
        scores, target, [0]
    )
    assert tuned_threshold(worse, target, [0], margin=0.005, reference=scores.argmax(1) == target) is None


def test_at_accuracy_is_the_largest_recall_or_the_most_accurate_point():
    scores, target = random_case(3)
    curve = threshold.curve(scores, target, [1])
    best = float(curve.accuracy.max())
    assert threshold.at_accuracy(curve, 1.0) == threshold.keeping(curve, best)
    assert threshold.at_accuracy(curve, best - 0.1) == threshold.keeping(curve, best - 0.1)


def test_impossible_requirements_are_refused():
    scores, target = random_case(0)
    with pytest.raises(ValueError, match="the best is"):
        threshold.keeping(threshold.curve(scores, target, [0]), 1.0)
    with pytest.raises(ValueError, match="not important"):
        threshold.curve(scores, target, range(5))
    with pytest.raises(ValueError, match="needs images"):
        threshold.curve(scores[:0], target[:0], [0])


def test_a_class_without_images_has_recall_zero():
    scores, target = random_case(2, classes=4)
    curve = threshold.curve(scores[target != 3], target[target != 3], [3])
    assert not curve.recall.any()
    assert not curve.precision.any()


def test_half_a_million_images():
    scores, target = random_case(0, n=500_000, classes=3)
    assert len(threshold.curve(scores, target, [0])) > 400_000


@pytest.mark.parametrize("decimals", [None, 0, 1])
@pytest.mark.parametrize("important", [[2], [0], [4, 1], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("bias", [-1.5, 0.0, 0.5, 3.0])
def test_one_bias_for_all_important_classes_is_argmax_of_the_shifted_scores(decimals, important, bias):
    scores, _ = random_case(1, n=300, decimals=decimals)
    shifted = scores.astype(np.float64)
    shifted[:, important] += bias
    np.testing.assert_array_equal(threshold.moved(scores, important, bias), shifted.argmax(1))
    np.testing.assert_array_equal(threshold.moved(scores, important, [bias] * len(important)), shifted.argmax(1))


def test_a_larger_bias_of_one_important_class_takes_nothing_from_another():
    scores, _ = random_case(2, n=500)
    for higher in (0.0, 1.0, 10.0):
        before, after = (threshold.moved(scores, [3, 1], [bias, 0.4]) for bias in (-1.0, higher))
        winner = scores[:, [1, 3]].argmax(1) == 0  # class 1 has the larger score of the two
        np.testing.assert_array_equal(before[winner] == 1, after[winner] == 1)
        assert ((before == 3) <= (after == 3)).all()


def test_a_class_with_its_own_bias_is_predicted_where_no_other_candidate_scores_more():
    scores = np.array([[2.0, 1.5, 2.2], [2.0, 1.8, 0.0], [2.0, 1.8, 1.9], [2.0, 0.0, 0.0]])
    np.testing.assert_array_equal(threshold.moved(scores, [1, 2], [0.3, -5.0]), [0, 1, 1, 0])
    np.testing.assert_array_equal(threshold.moved(scores, [1, 2], [0.3, 0.3]), [2, 1, 2, 0])
    np.testing.assert_array_equal(threshold.moved(scores, [2, 1], [-5.0, 0.3]), [0, 1, 1, 0])


@pytest.mark.parametrize("accuracy", [0.2, 0.4, 0.5, 0.9])
def test_recall_at_accuracy_by_trying_every_bias(accuracy):
    for seed in range(5):
        scores, target = random_case(seed)
        curve = threshold.curve(scores, target, [2])
        tried = [counted(scores, target, [2], bias) for bias in curve.bias]
        kept = [recall for recall, _, reached in tried if reached >= accuracy]
        short = max(reached for _, _, reached in tried) - accuracy
        assert threshold.recall_at_accuracy(scores, target, [2], accuracy) == pytest.approx(max(kept, default=short))
        assert kept or short < 0


def test_without_an_accuracy_it_ranks_by_accuracy_then_recall():
    cases = [random_case(seed, n=20) for seed in range(40)]
    values = [threshold.recall_at_accuracy(scores, target, [2], None) for scores, target in cases]
    pairs = [(point.accuracy, point.recall) for point in (threshold.at(*case, [2], 0.0) for case in cases)]
    assert [pairs[i] for i in np.argsort(values)] == sorted(pairs)


def test_the_objective_of_a_constrained_search():
    assert threshold.recall_if_accurate(0.6, 0.9, least=0.9) == 0.6
    assert threshold.recall_if_accurate(1.0, 0.87, least=0.9) == pytest.approx(-0.03)
