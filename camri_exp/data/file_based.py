"""The base of the data sets whose images are files of any size."""

from typing import Annotated, Any

from camri_exp.data.base import ImageDataModule
from camri_exp.data.preprocessing import SMALLEST_CROP, Interpolation, ModelPreprocessing, Preprocessing, Resize
from camri_exp.schema.values import Range


class ImageFileDataModule(ImageDataModule):
    """Adds how image files become squares of ``image_size`` pixels: the arguments of ``Preprocessing``.

    Args:
        resize: ``squeeze``: the whole image, without its aspect ratio. ``crop``: the square in its centre. ``pad``: the
            whole image with a black border. null: the way of the model with pretrained weights, else ``squeeze``.
        crop_fraction: share of the resized image that is kept, in both directions. null: that of the model with
            pretrained weights where ``resize`` is its way too, else 1.
        interpolation: Pillow's filter. null: that of the model with pretrained weights, else ``bilinear``.
        rest: see ``ImageDataModule``.
    """

    channels: int = 3

    def __init__(
        self,
        resize: Resize | None = None,
        crop_fraction: Annotated[float, Range(SMALLEST_CROP, 1)] | None = None,
        interpolation: Interpolation | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.resize, self.crop_fraction, self.interpolation = resize, crop_fraction, interpolation

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
