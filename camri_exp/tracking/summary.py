"""What a finished run or evaluation leaves in its W&B summary."""

from collections.abc import Mapping
from typing import Any

from camri_exp.results import RunResult

COSTS = ("epochs", "fit_seconds", "images_per_second", "parameters")
METRICS = ("accuracy", "recall_important", "precision_important", "macro_recall")


def summary(result: RunResult) -> dict[str, float]:
    """The run's summary: the chosen checkpoint's test metrics, its validation metrics, and what it cost."""
    values = {f"test/{name}": getattr(result.test, name) for name in METRICS}
    values |= {f"test/recall/{name}": value for name, value in result.test.recall.items()}
    values |= {f"chosen/val/{name}": getattr(result.val, name) for name in METRICS}
    return values | {key: getattr(result, key) for key in COSTS}


def evaluation_summary(found: Mapping[str, Any]) -> dict[str, float]:
    """An evaluation's numbers as ``evaluation/<split>/…``, so that no panel of training runs counts them again."""
    values = {name: found[name] for name in METRICS}
    values |= {f"recall/{name}": value for name, value in found["recall"].items()}
    for name, interval in found["intervals"].items():
        values |= {f"{name}_{end}": interval[end] for end in ("low", "high")}
    if (moved := found["threshold"]) is not None:
        values |= {f"threshold/{name}": value for name, value in moved[found["split"]].items()}
    if found["calibration"] is not None:
        values |= {f"calibration/{name}": one["error"] for name, one in found["calibration"].items()}
    return {f"evaluation/{found['split']}/{name}": value for name, value in values.items() if value is not None}
