"""The losses, one per file: scores and targets to a scalar. Importing them requires torch only.

The loop at the end exports the losses of all files, new ones too. The imports above it serve editors and type checkers.
"""

import pkgutil
from importlib import import_module

from camri_exp.losses.arcface import ArcFaceLoss as ArcFaceLoss
from camri_exp.losses.base import Loss as Loss
from camri_exp.losses.camri import CAMRILoss as CAMRILoss
from camri_exp.losses.ce import CrossEntropyLoss as CrossEntropyLoss
from camri_exp.losses.class_balanced import ClassBalancedLoss as ClassBalancedLoss
from camri_exp.losses.cosface import CosFaceLoss as CosFaceLoss
from camri_exp.losses.cost_sensitive import CostSensitiveCosineLoss as CostSensitiveCosineLoss
from camri_exp.losses.cost_sensitive import CostSensitiveLoss as CostSensitiveLoss
from camri_exp.losses.crwwce import RealWorldWeightedCrossEntropyLoss as RealWorldWeightedCrossEntropyLoss
from camri_exp.losses.focal import FocalLoss as FocalLoss
from camri_exp.losses.l2_softmax import L2SoftmaxLoss as L2SoftmaxLoss
from camri_exp.losses.ldam import LDAMLoss as LDAMLoss
from camri_exp.losses.logit_adjusted import LogitAdjustedLoss as LogitAdjustedLoss
from camri_exp.losses.mse_outlying import OutlyingLabelMSELoss as OutlyingLabelMSELoss
from camri_exp.losses.recall_target import RecallTargetLoss as RecallTargetLoss
from camri_exp.losses.vector_scaling import VectorScalingLoss as VectorScalingLoss
from camri_exp.losses.wce import WeightedCrossEntropyLoss as WeightedCrossEntropyLoss

for _file in pkgutil.iter_modules(__path__):
    for _name, _value in vars(import_module(f"{__name__}.{_file.name}")).items():
        if isinstance(_value, type) and issubclass(_value, Loss):
            globals()[_name] = _value
