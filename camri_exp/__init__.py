"""Find the class that matters more often, without making the classifier worse as a whole.

The names in ``__all__`` are the public interface. Each is imported when it is first used (PEP 562), so that
``import camri_exp`` and the ``--help`` of a command do not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from camri_exp.losses import (
        ArcFaceLoss,
        CAMRILoss,
        ClassBalancedLoss,
        CosFaceLoss,
        CostSensitiveCosineLoss,
        CostSensitiveLoss,
        CrossEntropyLoss,
        FocalLoss,
        L2SoftmaxLoss,
        LDAMLoss,
        LogitAdjustedLoss,
        Loss,
        OutlyingLabelMSELoss,
        RealWorldWeightedCrossEntropyLoss,
        RecallTargetLoss,
        VectorScalingLoss,
        WeightedCrossEntropyLoss,
    )
    from camri_exp.metrics.confusion import confusion_matrix
    from camri_exp.metrics.intervals import Interval, cluster_bootstrap, mcnemar_exact, wilson
    from camri_exp.metrics.threshold import curve as threshold_curve
    from camri_exp.models.heads import CosineHead, LinearHead
    from camri_exp.results import RunResult, read_predictions

__all__ = [
    "ArcFaceLoss",
    "CAMRILoss",
    "ClassBalancedLoss",
    "CosFaceLoss",
    "CosineHead",
    "CostSensitiveCosineLoss",
    "CostSensitiveLoss",
    "CrossEntropyLoss",
    "FocalLoss",
    "Interval",
    "L2SoftmaxLoss",
    "LDAMLoss",
    "LinearHead",
    "LogitAdjustedLoss",
    "Loss",
    "OutlyingLabelMSELoss",
    "RealWorldWeightedCrossEntropyLoss",
    "RecallTargetLoss",
    "RunResult",
    "VectorScalingLoss",
    "WeightedCrossEntropyLoss",
    "cluster_bootstrap",
    "confusion_matrix",
    "mcnemar_exact",
    "read_predictions",
    "threshold_curve",
    "wilson",
]

# The module of each public name, and its name there where that is another; every other name is a loss.
_MODULES = {
    "CosineHead": "models.heads",
    "Interval": "metrics.intervals",
    "LinearHead": "models.heads",
    "RunResult": "results",
    "cluster_bootstrap": "metrics.intervals",
    "confusion_matrix": "metrics.confusion",
    "mcnemar_exact": "metrics.intervals",
    "read_predictions": "results",
    "threshold_curve": "metrics.threshold",
    "wilson": "metrics.intervals",
}
_NAMES_THERE = {"threshold_curve": "curve"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'losses')}"), _NAMES_THERE.get(name, name))
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
