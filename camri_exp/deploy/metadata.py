"""What an exported model says of itself, so that whoever loads it needs nothing of this package."""

import json

import camri_exp
from camri_exp.models.metadata import ModelMetadata

PREPROCESSING = (
    "uint8 pixels (N, channels, image_size, image_size), RGB or grey: turned as EXIF says, squeezed to the square with "
    "Pillow's bilinear filter. The model itself takes mean and std (a value a channel, of pixels in [0, 1]) out."
)


def metadata(model: ModelMetadata, bias: float) -> dict[str, str]:
    """Keys and values as JSON: preprocessing constants, class names, important classes and the bias that moves the
    threshold for these to where validation wants it (0: the model's own)."""
    keys = ("class_names", "important_class", "channels", "image_size", "mean", "std", "data", "loss", "model")
    values = {key: getattr(model, key) for key in keys}
    values["important_class_names"] = model.important_class_names
    values |= {"bias": bias, "preprocessing": PREPROCESSING, "camri_exp": camri_exp.__version__}
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
