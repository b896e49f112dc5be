"""Names and tags of W&B runs, and promises in their summaries. The rest is tested with real runs in ``test_wandb``."""

import numpy as np
import pytest

from camri_exp.evaluation.metrics import evaluate_predictions
from camri_exp.evaluation.predictions import ModelPredictions
from camri_exp.results import SplitPredictions
from camri_exp.tracking.base import RunDescription
from camri_exp.tracking.summary import LONGEST_NAME, LONGEST_TAG, evaluation_summary, run_name, tags

CONFIG = {"data": {"name": "digits"}, "loss": {"name": "camri"}}


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "digits camri"),
        (["data=digits", "loss=camri", "loss.margin=0.2", "seed=1"], "digits camri margin=0.2 seed=1"),
        (["+trainer.fast_dev_run=1", "logger.wandb.project=x", "sweep.name=y"], "digits camri fast_dev_run=1"),
        (["optimizer.lr=1", "scheduler.lr=2"], "digits camri optimizer.lr=1 scheduler.lr=2"),
    ],
)
def test_the_name_lists_the_overrides(overrides: list[str], name: str) -> None:
    assert run_name(RunDescription(CONFIG, overrides, [])) == name


def test_names_and_tags_are_cut_to_the_limits_of_the_service() -> None:
    assert len(run_name(RunDescription(CONFIG, [f"loss.margin={'1' * 500}"], []))) == LONGEST_NAME
    words = tags(RunDescription(CONFIG, [], ["Stop", "digits", "x" * 100]))
    assert words[:3] == ["digits", "camri", "Stop"]
    assert [len(tag) for tag in words[3:]] == [LONGEST_TAG]


def test_the_summary_of_an_evaluation_has_the_promise_its_thresholds_and_its_price() -> None:
    target = np.repeat([0, 1, 2], 100)
    scores = np.random.default_rng(0).normal(size=(300, 3)) + 2 * np.eye(3)[target]
    split = SplitPredictions(scores, target, np.array([f"{i}.png" for i in range(300)]))
    splits = dict.fromkeys(("val", "calibration", "test"), split)
    model = ModelPredictions("toy", "ce", "cnn", 0, ["ant", "bee", "cat"], [1, 2], splits, has_cosine_scores=False)
    evaluation = evaluate_predictions(model, "test", recall=0.6, confidence=0.9)
    promise = evaluation.promise
    assert promise is not None
    assert promise.price is not None
    values = evaluation_summary(evaluation)
    prefix = "evaluation/test/promise/"
    assert {key: values[prefix + key] for key in ("recall", "confidence", "promised", "broken")} == {
        "recall": 0.6, "confidence": 0.9, "promised": 1.0, "broken": 0.0,
    }  # fmt: skip
    assert [values[f"{prefix}bias/{name}"] for name in ("bee", "cat")] == promise.biases
    assert values[f"{prefix}accuracy_difference"] == promise.price.difference.value
    assert values[f"{prefix}false_alarms/cat"] == promise.price.per_class[1].false_alarms.value
    assert not any("promise" in key for key in evaluation_summary(evaluate_predictions(model, "test")))
