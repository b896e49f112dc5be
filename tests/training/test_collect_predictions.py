"""The index in evaluation batches joins names and groups to predictions, whatever the order of the batches."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from camri_exp.data.loader import InMemoryLoader
from camri_exp.results import SplitPredictions
from camri_exp.training.callbacks import CollectPredictions
from tests.helpers.classifiers import small_classifier
from tests.helpers.tiny import TinyDataModule


class ShuffledDataModule(TinyDataModule):
    """Evaluates in a random order."""

    def _shuffled(self, split: str) -> InMemoryLoader:
        order = torch.randperm(self.length(split), generator=torch.Generator().manual_seed(3)).tolist()
        return InMemoryLoader(self.splits[split], self.batch_size, order, -(-len(order) // self.batch_size), True)

    def val_dataloader(self) -> InMemoryLoader:
        return self._shuffled("val")

    def test_dataloader(self) -> InMemoryLoader:
        return self._shuffled("test")


def collected(kind: type[TinyDataModule], split: str, **options: Any) -> SplitPredictions:
    data = kind(batch_size=8, image_size=8)
    data.setup()
    data.splits = {
        name: replace(view, groups=[f"group {i // 3}" for i in range(len(view.names))])
        for name, view in data.splits.items()
    }
    callback = CollectPredictions()
    trainer = pl.Trainer(
        accelerator="cpu",
        callbacks=[callback],
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **options,
    )
    evaluate = trainer.validate if split == "val" else trainer.test
    evaluate(small_classifier(), datamodule=data, verbose=False)
    return callback.splits[split]


@pytest.mark.parametrize("split", ["val", "test"])
def test_batches_in_another_order_give_the_same_predictions(split: str) -> None:
    in_order, shuffled = (collected(kind, split).arrays(split) for kind in (TinyDataModule, ShuffledDataModule))
    assert (
        list(in_order) == list(shuffled) == [f"{split}_{key}" for key in ("scores", "target", "name", "group", "angle")]
    )
    for key, values in in_order.items():
        if values.dtype.kind == "f":  # a convolution may round differently in another batch
            np.testing.assert_allclose(shuffled[key], values, atol=1e-6)
        else:
            np.testing.assert_array_equal(shuffled[key], values)


def test_part_of_a_split_keeps_the_names_and_groups_of_its_images() -> None:
    """With ``limit_test_batches`` a shuffled loader gives 16 of the 41 images: any, not the first."""
    whole = collected(TinyDataModule, "test")
    part = collected(ShuffledDataModule, "test", limit_test_batches=2)
    assert len(part) == 16
    rows = [list(whole.names).index(name) for name in part.names]
    assert rows == sorted(rows) != list(range(16))
    assert whole.groups is not None
    np.testing.assert_array_equal(part.target, whole.target[rows])
    np.testing.assert_array_equal(part.groups, whole.groups[rows])
    np.testing.assert_allclose(part.scores, whole.scores[rows], atol=1e-6)
