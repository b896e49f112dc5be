"""``python -m camri_exp.export``: a model for other programs, compared with PyTorch."""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from camri_exp.cli import command
from camri_exp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from camri_exp.deploy.parity import Parity
    from camri_exp.evaluation.operating_point import OperatingPoint
    from camri_exp.models.metadata import ModelMetadata


@command("export", paths=("checkpoint", "output", "images", "trust", "data.root"))
def main(cfg: DictConfig) -> None:
    """Write ``cfg.checkpoint`` as ``cfg.format`` to ``cfg.output``, unless its outputs differ from those of PyTorch."""
    if cfg.checkpoint is None or cfg.output is None:
        raise UserError("Give checkpoint=PATH and output=FILE.")
    from camri_exp.deploy import parity
    from camri_exp.deploy.card import check_card, write_card
    from camri_exp.deploy.decision import PredictingModel, predicting
    from camri_exp.deploy.formats import FORMATS
    from camri_exp.deploy.metadata import export_metadata
    from camri_exp.files import atomic_path, require_writable
    from camri_exp.models.checkpoint import load
    from camri_exp.models.inference import Predictor
    from camri_exp.stored_config import trusted_names

    checkpoint, output = Path(cfg.checkpoint), Path(cfg.output)
    suffix, write = FORMATS[cfg.format]
    if output.suffix != suffix:
        raise UserError(f"output={output}: format={cfg.format} writes a file that ends in {suffix}.")
    require_writable(output.parent, "Give another file: output=FILE")
    check_card(output.parent)
    config, model = load(checkpoint, trusted_names(cfg.trust))
    point = _operating_point(cfg, checkpoint)
    images = _images(cfg, config, model.metadata)
    predictor = Predictor(model, device="cpu")
    example = images[:1].repeat(2, 1, 1, 1)  # the exporters would treat a batch size of 1 as a constant
    try:
        with atomic_path(output) as temporary:
            exported = PredictingModel(predictor.model, len(model.class_names), model.important_class, point.bias)
            file = write(exported, example, export_metadata(model.metadata, point), temporary)
            original = predicting(predictor, model.important_class, point.bias)
            result = parity.compare(original, file, images.numpy())
            if not result.difference < parity.TOLERANCE:
                raise UserError(
                    f"the exported model differs from PyTorch by {result.difference:.2g}, more than rounding "
                    f"({parity.TOLERANCE:g}); nothing was written. Please report this model."
                )
        card = write_card(output, checkpoint, model.metadata, point)
    except OSError as error:
        raise UserError(f"output={output} cannot be written: {error.strerror}. Give another file.") from error
    print(_summary(cfg.format, model.metadata, output, result, point))
    print(f"card: {card}")


def _operating_point(cfg: DictConfig, checkpoint: Path) -> "OperatingPoint":
    """The operating point to export; the unchanged model where none could be chosen on validation."""
    from camri_exp.evaluation.operating_point import OperatingPoint, operating_point_of

    try:
        return operating_point_of(checkpoint, cfg.bias, cfg.recall, cfg.confidence)
    except UserError as error:
        if cfg.recall is not None:
            raise
        return OperatingPoint(0.0, f"because {error}")


def _images(cfg: DictConfig, config: DictConfig, metadata: "ModelMetadata") -> "Tensor":
    """Real images for the comparison: those in ``cfg.images``, else validation images of the run's data."""
    from itertools import islice

    from camri_exp.deploy.image_files import find_images, image_batches
    from camri_exp.deploy.published import check_preprocessing
    from camri_exp.evaluation.checkpoint_data import data_of_checkpoint

    if cfg.images is None:
        try:
            data = data_of_checkpoint(config, metadata, Path(cfg.checkpoint), cfg.data.root)
        except UserError as error:
            raise UserError(f"{error}\nAny other images can be used for the comparison: images=FILE_OR_DIR") from error
        if not data.length("val"):
            raise UserError(f"{data.root} has no validation images for the comparison. Give others: images=FILE_OR_DIR")
        first = slice(cfg.check_images)
        pixels = data.images("val", first)
        check_preprocessing(data.files("val", first) or [], pixels.numpy(), metadata.preprocessing)
        return pixels
    paths = islice(find_images(Path(cfg.images), lambda *_: None), cfg.check_images)
    for names, pixels in image_batches(paths, metadata.preprocessing, cfg.check_images, lambda *_: None):
        check_preprocessing(names, pixels.numpy(), metadata.preprocessing)
        return pixels
    raise UserError(f"images={cfg.images} contains no image that can be read for the comparison.")


def _summary(
    format_name: str, metadata: "ModelMetadata", output: Path, parity: "Parity", point: "OperatingPoint"
) -> str:
    from camri_exp.deploy.parity import TOLERANCE
    from camri_exp.evaluation.promise_text import sentences

    (one_torch, one_file), (all_torch, all_file) = parity.milliseconds
    runtime = "onnxruntime" if format_name == "onnx" else "the program"
    return "\n".join(
        [
            f"{metadata.model}, loss {metadata.loss}: {output} ({output.stat().st_size / 2**20:.1f} MiB)",
            f"compared with PyTorch on {parity.images} images: largest difference {parity.difference:.2g} "
            f"(below {TOLERANCE:g}), {parity.same_prediction} predictions the same",
            f"1 image: PyTorch {one_torch:.2f} ms, {runtime} {one_file:.2f} ms; "
            f"{parity.images} images: {all_torch:.1f} ms, {all_file:.1f} ms",
            f"bias of {', '.join(metadata.important_class_names)} in the output prediction: {point}",
            *(() if point.promise is None else sentences(point.promise)),
        ]
    )


if __name__ == "__main__":
    main()
