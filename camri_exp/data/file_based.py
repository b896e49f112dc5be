"""The base of the data sets whose images are files of any size."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

from torch import Tensor

from camri_exp.data.base import ImageDataModule
from camri_exp.data.cache import cached
from camri_exp.data.image_source import image_files
from camri_exp.data.on_the_fly import DecodedOnTheFly
from camri_exp.data.preprocessing import SMALLEST_CROP, Interpolation, ModelPreprocessing, Preprocessing, Resize
from camri_exp.data.storage import ImageTable
from camri_exp.schema.values import Range


class ImageFileDataModule(ImageDataModule):
    """Adds how image files become squares of ``image_size`` pixels: the arguments of ``Preprocessing``.

    Args:
        resize: ``squeeze``: the whole image, without its aspect ratio. ``crop``: the square in its centre. ``pad``: the
            whole image with a black border. null: the way of the model with pretrained weights, else ``squeeze``.
        crop_fraction: share of the resized image that is kept, in both directions. null: that of the model with
            pretrained weights where ``resize`` is its way too, else 1.
        interpolation: Pillow's filter. null: that of the model with pretrained weights, else ``bilinear``.
        stored_size: training images are kept as squares of this size too, so that a random crop
            (``augmentation.resized_crop``, or one in ``transform``) has something to cut; null cuts the images of
            ``image_size``.
        cache: whether decoded images are stored. false decodes them for every batch, with the same numbers; one pass
            before training finds statistics, copies and files that cannot be used. Near copies are not searched.
        workers: the number of threads that decode without a cache; null is that of the cores.
        rest: see ``ImageDataModule``.

    Raises:
        ValueError: a ``stored_size`` below ``image_size``, or one without a crop.
    """

    channels: int = 3

    def __init__(
        self,
        resize: Resize | None = None,
        crop_fraction: Annotated[float, Range(SMALLEST_CROP, 1)] | None = None,
        interpolation: Interpolation | None = None,
        stored_size: Annotated[int, Range(1, 4096)] | None = None,
        cache: bool = True,
        workers: Annotated[int, Range(1, 1024)] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.resize, self.crop_fraction, self.interpolation = resize, crop_fraction, interpolation
        self.stored_size, self.cache, self.workers = stored_size, cache, workers
        self.searches_near_copies = self.searches_near_copies and cache
        if stored_size is not None and stored_size < self.image_size:
            raise ValueError(f"stored_size={stored_size}; expected at least image_size={self.image_size}")
        if stored_size is not None and self.augments and not self.augmentation.resizes:
            raise ValueError(
                f"stored_size={stored_size} without a crop; expected augmentation.resized_crop above 0, or a transform"
            )

    def read(
        self,
        paths: Sequence[str],
        target: Sequence[int],
        names: Sequence[str],
        folder: Path,
        on_error: str = "stop",
        max_pixels: int | None = None,
    ) -> ImageTable:
        """The images of these files from the cache in ``folder``; the larger ones for training become ``larger``."""

        def unstored(preprocessing: Preprocessing) -> Tensor | None:
            # It stands for a tensor: it can be indexed like one.
            images = None if self.cache else DecodedOnTheFly(paths, preprocessing, max_pixels, self.workers)
            return cast(Tensor | None, images)

        def table(preprocessing: Preprocessing) -> ImageTable:
            source = image_files(paths, target, names, preprocessing, max_pixels, unstored(preprocessing))
            return cached(source, self.cache_dir, folder, on_error)

        if self.stored_size is not None and self.augments:
            larger = replace(self.preprocessing, image_size=self.stored_size, crop_fraction=1.0)
            self.larger = table(larger).pixels if self.cache else unstored(larger)
        return table(self.preprocessing)

    def adopt(self, own: ModelPreprocessing, geometry: bool = True) -> None:
        super().adopt(own, geometry)
        if not geometry:
            return
        if self.crop_fraction is None and self.resize in (None, own.resize):
            self.crop_fraction = own.crop_fraction
        self.resize = self.resize or own.resize
        self.interpolation = self.interpolation or own.interpolation

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing(
            self.image_size,
            self.channels,
            self.resize or "squeeze",
            1.0 if self.crop_fraction is None else self.crop_fraction,
            self.interpolation or "bilinear",
        )
