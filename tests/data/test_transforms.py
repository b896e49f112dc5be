"""Augmentation by torchvision: per image by name, crops from larger images, and mixtures of pairs."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from camri_exp.data.augment import Augmentation
from camri_exp.data.decode import decode_image
from camri_exp.data.folder import FolderDataModule
from camri_exp.data.preprocessing import Preprocessing
from camri_exp.data.transforms import Mixing, per_image, transform_of
from camri_exp.errors import UserError
from tests.helpers import image_files

IMAGES = torch.randint(0, 256, (6, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, []),
        ("TrivialAugmentWide", [v2.TrivialAugmentWide]),
        (["RandomHorizontalFlip", "RandAugment"], [v2.RandomHorizontalFlip, v2.RandAugment]),
        ({"RandomErasing": {"p": 0.25}, "AutoAugment": None}, [v2.RandomErasing, v2.AutoAugment]),
    ],
)
def test_transforms_are_found_by_name(names, expected):
    assert [type(transform) for transform in transform_of(names)] == expected


def test_the_arguments_reach_the_transform():
    (erasing,) = transform_of({"RandomErasing": {"p": 0.25, "value": 3}})
    assert (erasing.p, erasing.value) == (0.25, [3])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            "TrivialAugment",
            r"data\.transform=TrivialAugment: torchvision.transforms.v2 has no such transform.*TrivialAug",
        ),
        ("functional", "has no such transform"),
        ({"RandomErasing": {"q": 1}}, r"data\.transform\.RandomErasing\.q: RandomErasing has no such argument"),
        ({"RandomErasing": {"p": "often"}}, r"data\.transform\.RandomErasing\.p=often: expected a number"),
        ({"RandomErasing": {"p": 2.0}}, r"data\.transform\.RandomErasing: .* in the interval"),
        ({"Resize": None}, r"data\.transform\.Resize: .*size"),
    ],
)
def test_what_torchvision_does_not_have(names, message):
    with pytest.raises(UserError, match=message) as refused:
        transform_of(names)
    assert len(str(refused.value).splitlines()) == 1


def test_each_image_has_parameters_of_its_own_from_torchs_generator():
    flip = transform_of("RandomHorizontalFlip")
    torch.manual_seed(0)
    changed = per_image(flip, IMAGES, 20)
    flipped = [torch.equal(a, b.flip(-1)) for a, b in zip(changed, IMAGES, strict=True)]
    assert 0 < sum(flipped) < 6
    torch.manual_seed(0)
    assert torch.equal(per_image(flip, IMAGES, 20), changed)


def test_a_transform_with_another_result_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"gives 8 x 8 images of torch.uint8; expected 20 x 20 \(data.image_size\)"):
        per_image(transform_of({"Resize": {"size": [8, 8]}}), IMAGES, 20)
    with pytest.raises(UserError, match=r"gives 20 x 20 images of torch\.float32; expected"):
        per_image([v2.ToDtype(torch.float32)], IMAGES, 20)


def test_a_resized_crop_is_that_of_torchvision():
    torch.manual_seed(0)
    ours = Augmentation(resized_crop=0.3, image_size=12)(IMAGES)
    torch.manual_seed(0)
    reference = v2.RandomResizedCrop(12, scale=(0.3, 1.0))
    assert torch.equal(ours, torch.stack([reference(image) for image in IMAGES]))


def test_transforms_come_after_the_other_changes_on_whole_pixels():
    seen = []

    class Spy(v2.Transform):
        def transform(self, inpt, params):
            seen.append(inpt)
            return inpt

    Augmentation(brightness=0.5, transforms=[Spy()], image_size=20)(IMAGES)
    assert {image.dtype for image in seen} == {torch.uint8}
    assert not torch.equal(torch.stack(seen), IMAGES)


def test_crops_are_cut_from_the_larger_images_and_evaluation_sees_the_small_ones(tmp_path):
    root = image_files.class_folders(tmp_path, count=20)

    def module(**more):
        data = FolderDataModule(str(root), image_size=8, resize="crop", crop_fraction=0.8, **more)
        data.setup()
        return data

    plain, stored = module(), module(stored_size=11, augmentation={"resized_crop": 0.5})
    assert torch.equal(plain.images("train"), stored.images("train"))
    assert torch.equal(plain.images("test"), stored.images("test"))
    assert (plain.mean, plain.std) == (stored.mean, stored.std)
    images, _ = next(iter(stored.train_dataloader()))
    assert images.shape[1:] == (3, 11, 11)
    whole = {decode_image(root / name, Preprocessing(11, 3, "crop")).tobytes() for name in stored.names("train")}
    assert {image.numpy().tobytes() for image in images} <= whole
    assert stored.augmented([0, 1]).shape == (2, 3, 8, 8)
    assert next(iter(stored.val_dataloader()))[0].shape[1:] == (3, 8, 8)
    assert module(stored_size=11, augment=False).augmented([0]).shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stored_size": 7, "augmentation": {"resized_crop": 0.5}}, "stored_size=7; expected at least image_size=8"),
        (
            {"stored_size": 9},
            r"stored_size=9 without a crop; expected augmentation.resized_crop above 0, or a transform",
        ),
        ({"augmentation": {"resized_crop": 1.5}}, "augmentation.resized_crop=1.5; expected a fraction"),
        ({"mixup": -1.0}, "mixup=-1.0; expected at least 0"),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        FolderDataModule(str(tmp_path), image_size=8, **arguments)


def test_mixup_is_the_same_convex_combination_of_images_and_classes():
    target = torch.tensor([0, 1, 2, 3, 4, 5])
    torch.manual_seed(0)
    images, shares = Mixing(mixup=1.0)(IMAGES, target, 6)
    share = shares[torch.arange(6), target]
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    assert 0 < float(share[0]) < 1
    expected = share[:, None, None, None] * IMAGES + (1 - share)[:, None, None, None] * IMAGES.roll(1, 0)
    np.testing.assert_allclose(images, expected, rtol=1e-4)


def test_cutmix_replaces_a_rectangle_and_its_share_of_the_class():
    target = torch.arange(6)
    torch.manual_seed(1)
    images, shares = Mixing(cutmix=1.0)(IMAGES, target, 6)
    replaced = (images != IMAGES).any(1)
    of_other = (images == IMAGES.roll(1, 0)).all(1)
    assert (of_other | ~replaced).all()
    area = of_other.float().mean((1, 2))
    np.testing.assert_allclose(shares[torch.arange(6), target], 1 - area, atol=0.02)


def test_each_batch_is_mixed_one_way():
    torch.manual_seed(0)
    kinds = {(Mixing(1.0, 1.0)(IMAGES, torch.arange(6), 6)[0] % 1 == 0).all().item() for _ in range(20)}
    assert kinds == {True, False}
    assert not Mixing()
