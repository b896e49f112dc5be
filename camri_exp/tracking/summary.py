"""What a W&B run contains: its name, its tags, and the numbers in its summary."""

from collections import Counter

from camri_exp.evaluation.promise import Promise
from camri_exp.evaluation.record import Evaluation
from camri_exp.identity import NOT_HASHED
from camri_exp.results import RunResult
from camri_exp.tracking.base import RunDescription

ALWAYS_NAMED = ("data", "loss")  # the two words that every name begins with
LONGEST_NAME, LONGEST_TAG = 128, 64  # W&B's limits
COSTS = ("epochs", "fit_seconds", "images_per_second", "parameters")
METRICS = ("accuracy", "recall_important", "precision_important", "macro_recall")


def run_name(description: RunDescription) -> str:
    """``digits camri margin=0.2 seed=1`` for ``loss=camri loss.margin=0.2 seed=1``: data, loss and other overrides.

    A key is shortened to its last part, unless two keys share it.
    """
    pairs = [override.lstrip("+~").partition("=")[::2] for override in description.overrides]
    pairs = [(key, value) for key, value in pairs if key not in ALWAYS_NAMED and key.split(".")[0] not in NOT_HASHED]
    count = Counter(key.split(".")[-1] for key, _ in pairs)
    words = [f"{key if count[short] > 1 else short}={value}" for key, value in pairs for short in [key.split(".")[-1]]]
    data, loss = (description.config[key]["name"] for key in ALWAYS_NAMED)
    return _cut(" ".join([data, loss, *words]), LONGEST_NAME)


def tags(description: RunDescription) -> list[str]:
    """Data set, loss and important classes, without repetition."""
    names = [description.config[key]["name"] for key in ALWAYS_NAMED]
    words = [*names, *description.important_class_names]
    return list(dict.fromkeys(_cut(word, LONGEST_TAG) for word in words if word))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def summary(result: RunResult) -> dict[str, float]:
    """Test and validation metrics of the selected checkpoint, and what the run cost."""
    values = {f"test/{name}": getattr(result.test, name) for name in METRICS}
    values |= {f"test/recall/{name}": value for name, value in result.test.recall.items()}
    values |= {f"chosen/val/{name}": getattr(result.val, name) for name in METRICS}
    return values | {key: getattr(result, key) for key in COSTS}


def evaluation_summary(evaluation: Evaluation) -> dict[str, float]:
    """The numbers of an evaluation as ``evaluation/<split>/…``, so that panels of training runs ignore them."""
    values = {name: getattr(evaluation, name) for name in METRICS}
    values |= {f"recall/{name}": value for name, value in evaluation.recall.items()}
    for name, interval in vars(evaluation.intervals).items():
        if interval is not None:
            values |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    if evaluation.threshold is not None:
        values |= {
            f"threshold/{name}": value for name, value in vars(evaluation.threshold.on(evaluation.split)).items()
        }
    if evaluation.calibration is not None:
        values |= {f"calibration/{name}": bins.error for name, bins in vars(evaluation.calibration).items()}
    if evaluation.promise is not None:
        values |= {f"promise/{name}": value for name, value in _promise(evaluation.promise).items()}
    return {f"evaluation/{evaluation.split}/{name}": value for name, value in values.items() if value is not None}


def _promise(promise: Promise) -> dict[str, float]:
    """What is promised, the threshold of each class, and the price; 1 and 0 stand for true and false."""
    values = {"recall": promise.recall, "confidence": promise.confidence, "best": promise.best}
    values |= {"promised": float(promise.promised)}
    values |= {f"bias/{own.class_name}": own.bias for own in promise.per_class}
    if promise.price is not None:
        values |= {"accuracy": promise.price.accuracy.value, "accuracy_difference": promise.price.difference.value}
        values |= {f"found/{own.class_name}": own.recall.value for own in promise.price.per_class}
        values |= {f"false_alarms/{own.class_name}": own.false_alarms.value for own in promise.price.per_class}
    return values if promise.check is None else values | {"broken": float(promise.check.broken)}
