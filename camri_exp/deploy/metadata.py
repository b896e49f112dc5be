"""The metadata in an exported model, with which it can be used without this package."""

import json

import camri_exp
from camri_exp.models.metadata import ModelMetadata

PREPROCESSING = (
    "uint8 pixels (N, channels, image_size, image_size), RGB or grey: rotated according to EXIF, 16-bit grey divided "
    "by 257, transparent images composited on white, then resized to the square with Pillow's bilinear filter. The "
    "model itself subtracts mean and divides by std (one value per channel, of pixels in [0, 1])."
)


def export_metadata(model: ModelMetadata, bias: float) -> dict[str, str]:
    """The metadata of an exported file; every value is JSON.

    ``bias`` is to be added to the scores of the important classes; 0 leaves the model as it is.
    """
    keys = ("class_names", "important_class", "channels", "image_size", "mean", "std", "data", "loss", "model")
    values = {key: getattr(model, key) for key in keys}
    values["important_class_names"] = model.important_class_names
    values |= {"bias": bias, "preprocessing": PREPROCESSING, "camri_exp": camri_exp.__version__}
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
