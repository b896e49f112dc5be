"""Losses: scores and targets to a scalar, one file each. Importing them needs torch alone."""

from camri_exp.losses.arcface import ArcFaceLoss
from camri_exp.losses.base import Loss
from camri_exp.losses.camri import CAMRILoss
from camri_exp.losses.ce import CrossEntropyLoss
from camri_exp.losses.l2_softmax import L2SoftmaxLoss

__all__ = ["ArcFaceLoss", "CAMRILoss", "CrossEntropyLoss", "L2SoftmaxLoss", "Loss"]
