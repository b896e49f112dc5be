"""The metadata of an exported file."""

import json

import camri_exp
from camri_exp.deploy.metadata import export_metadata
from camri_exp.evaluation.operating_point import OperatingPoint
from camri_exp.models.metadata import ModelMetadata


def test_every_value_is_json_and_names_keep_their_letters():
    model = ModelMetadata(
        data="signs", loss="camri", model="small_cnn", class_names=["grün", "stop"], class_counts=[10, 2],
        important_class=[1], channels=3, image_size=32, mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6],
        resize="crop", crop_fraction=0.875, interpolation="bicubic", range=(-1000, 3000),
    )  # fmt: skip
    metadata = export_metadata(model, OperatingPoint(0.25, "(given)"))
    assert metadata["class_names"] == '["grün", "stop"]'
    values = {key: json.loads(value) for key, value in metadata.items()}
    assert values.pop("preprocessing").startswith("uint8 pixels")
    assert values == {
        "class_names": ["grün", "stop"], "important_class": [1], "important_class_names": ["stop"], "bias": 0.25,
        "promise": None,
        "channels": 3, "image_size": 32, "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6],
        "resize": "crop", "crop_fraction": 0.875, "interpolation": "bicubic", "range": [-1000.0, 3000.0],
        "data": "signs", "loss": "camri", "model": "small_cnn", "camri_exp": camri_exp.__version__,
    }  # fmt: skip
