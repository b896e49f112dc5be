"""The metadata in an exported model, with which it can be used without this package."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import camri_exp
from camri_exp.evaluation.operating_point import OperatingPoint
from camri_exp.evaluation.record import plain
from camri_exp.models.metadata import ModelMetadata

PREPROCESSING = (
    "uint8 pixels (N, channels, image_size, image_size), RGB or grey: rotated according to EXIF, grey "
    "values of more than 8 bits mapped linearly from range (null: 0..65535) to 0..255 with clipping, "
    "transparent images composited on white. With L = int(image_size / crop_fraction), the image is resized by "
    "Pillow's filter interpolation to L x L pixels (resize = squeeze), or so that its shorter (crop) or longer (pad) "
    "side has L pixels; then the square in the centre is cut out, black where there is no image. The model itself "
    "subtracts mean and divides by std (one value per channel, of pixels in [0, 1])."
)


def export_metadata(model: ModelMetadata, point: OperatingPoint) -> dict[str, str]:
    """The metadata of an exported file; every value is JSON.

    ``bias`` is the one in the output ``prediction``: a number, or a list with one for each important class.
    """
    keys = ("class_names", "important_class", "mean", "std", "data", "loss", "model")
    values = {key: getattr(model, key) for key in keys} | asdict(model.preprocessing)
    values["important_class_names"] = model.important_class_names
    bias = list(point.bias) if isinstance(point.bias, Sequence) else point.bias
    values |= {
        "bias": bias,
        "promise": plain(point.promise),
        "preprocessing": PREPROCESSING,
        "camri_exp": camri_exp.__version__,
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
