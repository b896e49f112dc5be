"""Small classifiers, without a config, for tests of models and callbacks."""

from typing import Any

import torch

from camri_exp.losses import CAMRILoss
from camri_exp.models.classifier import Classifier
from camri_exp.models.cnns import SmallCNN
from camri_exp.models.heads import CosineHead
from camri_exp.models.metadata import ModelMetadata
from tests.helpers.tiny import COLOURS

METADATA = ModelMetadata(
    data="tiny",
    loss="camri",
    model="small_cnn",
    class_names=list(COLOURS),
    class_counts=[17, 16, 16, 16, 16, 16],
    important_class=[1],
    channels=3,
    image_size=8,
    mean=[0.4, 0.5, 0.6],
    std=[0.3, 0.2, 0.1],
)


def small_classifier(kind: type[Classifier] = Classifier, **options: Any) -> Classifier:
    """A classifier for the images of ``tests.helpers.tiny``; equal weights at every call."""
    torch.manual_seed(0)
    backbone = SmallCNN(in_chans=3, width=0.5)
    head = CosineHead(backbone.num_features, len(COLOURS))
    loss = CAMRILoss(len(COLOURS), important_class=1, margin=0.2, scale=16.0)
    return kind(backbone, head, loss, METADATA, optimizer=torch.optim.Adam, **options)
