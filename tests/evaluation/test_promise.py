"""The promise of a model: which images count, what it costs, and what is said."""

import math

import numpy as np
import pytest

from camri_exp.data.splits import stable_fraction
from camri_exp.errors import UserError
from camri_exp.evaluation.metrics import evaluate_predictions
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.evaluation.promise import independent, promise
from camri_exp.evaluation.promise_price import priced_promise
from camri_exp.evaluation.promise_text import sentences
from camri_exp.evaluation.record import Evaluation
from camri_exp.evaluation.summary import summary_table
from camri_exp.metrics import monitoring, threshold
from camri_exp.metrics import promise as rule
from camri_exp.results import SplitPredictions

NAMES = ["dog", "stop", "trash"]


def split(counts=(200, 100, 100), seed=0, frames=None, shift=2.0):
    """Predictions with ``counts`` images per class, in groups of ``frames`` where given."""
    random = np.random.default_rng(seed)
    target = np.repeat(np.arange(3), counts)
    scores = random.normal(size=(len(target), 3)).astype(np.float32)
    scores[np.arange(len(target)), target] += shift
    names = np.array([f"{k}/{i:04}.png" for i, k in enumerate(target)])
    groups = None if frames is None else np.array([f"{k}/{i // frames}" for i, k in enumerate(target)])
    return SplitPredictions(scores, target, names, groups)


def text(promised):
    return "\n".join(sentences(promised))


def test_a_calibration_split_gives_a_promise_and_its_price():
    calibration, test = split(seed=1), split(seed=2)
    made = priced_promise({"val": split(), "calibration": calibration, "test": test}, "test", [1], NAMES, 0.95, 0.95)
    own = rule.recall_threshold(calibration.scores[calibration.target == 1], [1], 1, 0.95, 0.95)
    assert (made.split, made.promised, made.images, made.groups, made.why) == ("calibration", True, 100, None, None)
    assert (made.bias, made.missed, made.best) == (own.bias, own.missed, own.best)
    assert made.missed == 1
    moved = threshold.moved(test.scores, [1], made.bias)
    hit, before = moved == test.target, test.scores.argmax(1) == test.target
    assert made.price.accuracy.value == pytest.approx(hit.mean())
    assert made.price.difference.value == pytest.approx(hit.mean() - before.mean())
    assert made.price.difference.low < made.price.difference.value < made.price.difference.high
    (stop,) = made.price.per_class
    assert stop.recall.value == pytest.approx(hit[test.target == 1].mean())
    assert stop.false_alarms.value == pytest.approx((moved[test.target != 1] == 1).mean())
    assert stop.precision == pytest.approx(hit[moved == 1].mean())
    printed = text(made)
    assert f"Threshold {made.bias:+.4g}: at least 95 % of stop will be found, with 95 % confidence" in printed
    assert "(100 calibration images, 1 missed)." in printed
    assert f"Price on test: accuracy {100 * hit.mean():.1f} % ({100 * (hit.mean() - before.mean()):+.1f} pp" in printed
    assert "estimate" not in printed


def test_the_validation_split_gives_an_estimate_that_is_called_one():
    made = promise({"val": split()}, [1], NAMES, 0.9, 0.95)
    assert (made.split, made.promised, made.why) == ("val", False, "the validation images chose the checkpoint")
    assert "would be found" in text(made)
    assert "This is an estimate and no promise" in text(made)
    assert "data.calibration_fraction=0.2" in text(made)


def test_too_few_images_say_how_many_are_needed_and_what_they_allow():
    made = promise({"val": split(), "calibration": split((50, 50, 10))}, [2], NAMES, 0.95, 0.95)
    assert (made.promised, made.why) == (False, "too few images")
    assert made.best == pytest.approx(0.05**0.1)
    assert f"59 images of trash are needed for 95 %; there are 10. With these, 74.1 % can be promised at threshold " \
        f"{made.bias:+.4g}." in text(made)  # fmt: skip
    again = promise({"calibration": split((50, 50, 10))}, [2], NAMES, 0.741, 0.95)
    assert again.promised, "the recall that was printed can be promised"
    assert again.bias == made.bias


def test_a_class_without_calibration_images():
    made = priced_promise({"calibration": split((50, 50, 0)), "val": split()}, "val", [2], NAMES, 0.95, 0.95)
    assert math.isnan(made.bias)
    assert (made.best, made.price) == (0, None)
    assert "Nothing can be said of trash: no calibration image of it can be found." in text(made)


def test_one_image_of_each_group_counts():
    calibration = split((90, 900, 90), frames=30)
    index = np.flatnonzero(calibration.target == 1)
    units = independent(calibration, index)
    assert sorted(calibration.groups[units]) == sorted(set(calibration.groups[index]))
    for i in units:
        members = [str(calibration.names[j]) for j in index if calibration.groups[j] == calibration.groups[i]]
        assert str(calibration.names[i]) == min(members, key=stable_fraction)
    made = promise({"calibration": calibration}, [1], NAMES, 0.9, 0.95)
    assert (made.images, made.groups, made.promised) == (900, 30, True)
    assert "(one of each of 30 groups of 900 calibration images, 0 missed)" in text(made)
    few = text(promise({"calibration": calibration}, [1], NAMES, 0.95, 0.95))
    assert "59 groups of images of stop are needed for 95 %; there are 30." in few


def test_several_important_classes_have_a_bias_each_and_share_the_confidence():
    calibration, test = split((300, 300, 300), seed=1), split(seed=2)
    made = priced_promise({"calibration": calibration, "test": test}, "test", [2, 1], NAMES, 0.6, 0.9)
    expected = [
        rule.recall_threshold(calibration.scores[calibration.target == k], [2, 1], k, 0.6, 0.95).bias for k in (2, 1)
    ]
    assert made.bias == made.biases == expected
    assert made.biases[0] != made.biases[1]
    assert [own.class_name for own in made.per_class] == ["trash", "stop"]
    assert (made.images, made.promised) == (600, True)
    moved = threshold.moved(test.scores, [2, 1], made.biases)
    assert [own.recall.value for own in made.price.per_class] == pytest.approx(
        [(moved[test.target == k] == k).mean() for k in (2, 1)]
    )
    assert "at least 60 % of trash will be found, with 95 % confidence" in text(made)
    assert "All 2 hold together with 90 % confidence." in text(made)


def test_images_that_look_like_another_important_class_are_named():
    calibration = split((300, 300, 300), shift=0.5)
    made = promise({"calibration": calibration}, [1, 2], NAMES, 0.9, 0.9)
    assert made.why == "too many images look like another important class"
    assert "90 % of stop cannot be reached: " in text(made)
    assert " of 300 images look more like another important class. With these, " in text(made)


def test_a_negative_threshold_says_what_the_unchanged_model_finds():
    made = promise({"calibration": split((300, 300, 300), shift=6.0)}, [1], NAMES, 0.5, 0.95)
    assert made.bias < 0
    best = rule.best_recall(300, 0, 0.95)
    assert made.per_class[0].unchanged == pytest.approx(best)
    assert f"The threshold 0, the unchanged model, finds more: at least {math.floor(1000 * best) / 10:g} %." in text(
        made
    )


def test_without_another_class_there_is_no_threshold():
    with pytest.raises(UserError, match="every class is important"):
        promise({"calibration": split()}, [0, 1, 2], NAMES, 0.9, 0.9)


def test_the_promise_is_a_part_of_the_evaluation(tmp_path):
    splits = {"val": split(), "calibration": split(seed=1), "test": split(seed=2)}
    model = ModelPredictions("toy", "ce", "cnn", 0, NAMES, [1, 2], splits, has_cosine_scores=False)
    assert evaluate_predictions(model, "test").promise is None
    evaluation = evaluate_predictions(model, "test", recall=0.5, confidence=0.9)
    assert "All 2 hold together" in summary_table(evaluation)
    evaluation.write(tmp_path / "evaluation.json")
    assert Evaluation.read(tmp_path / "evaluation.json") == evaluation
    content = evaluation.to_dict()["promise"]
    assert set(content) == {
        "recall", "confidence", "bias", "split", "images", "groups", "missed", "promised", "best", "why", "per_class",
        "price", "check",
    }  # fmt: skip
    assert [own["class"] for own in content["per_class"]] == ["stop", "trash"]


def test_images_that_came_later_are_checked_against_the_promise():
    calibration = split((300, 300, 300), seed=1)
    kept, worse = split((300, 300, 300), seed=2), split((300, 300, 300), seed=3, shift=0.5)
    for test, repeated in ((kept, False), (kept, True), (worse, False), (worse, True)):
        made = priced_promise({"calibration": calibration, "all": test}, "all", [1], NAMES, 0.9, 0.95, repeated)
        (own,) = made.check.per_class
        found = (threshold.moved(test.scores, [1], made.bias) == 1)[test.target == 1].sum()
        assert (own.found, own.images, own.recall) == (found, 300, 0.9)
        assert own.p_value == pytest.approx(monitoring.p_value(found, 300, 0.9))
        assert own.e_value == pytest.approx(monitoring.e_value(found, 300, 0.9))
        assert made.check.broken is own.broken is (test is worse)
        state = "broken" if test is worse else "tenable"
        assert f"The promise for stop is {state} on all: {found} of 300 independent images found" in text(made)
        assert ("at any time; broken from 20 on" if repeated else "for a single check") in text(made)


def test_one_image_of_each_group_is_checked():
    test = split((300, 300, 300), frames=30)
    made = priced_promise({"calibration": split(seed=1), "test": test}, "test", [1], NAMES, 0.9, 0.95)
    assert made.check.per_class[0].images == 10


def test_the_best_recall_from_calibration_images_is_a_promise_too():
    made = priced_promise({"calibration": split((50, 50, 10)), "test": split()}, "test", [2], NAMES, 0.95, 0.95)
    assert made.check.per_class[0].recall == made.best
    assert "The promise for trash is tenable on test: " in text(made)
    assert "at least 74.1 % expected" in text(made)
