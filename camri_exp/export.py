"""``python -m camri_exp.export``: a model for other programs, checked against PyTorch."""

import math
import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from camri_exp.cli import command
from camri_exp.errors import UserError


@command("export", paths=("checkpoint", "output", "images", "data.root"))
def main(cfg: DictConfig) -> None:
    """Write ``cfg.checkpoint`` as ``cfg.format`` to ``cfg.output``, unless the file answers otherwise than PyTorch."""
    if cfg.checkpoint is None or cfg.output is None:
        raise UserError("Give checkpoint=PATH and output=FILE.")
    from camri_exp.deploy import parity
    from camri_exp.deploy.formats import FORMATS
    from camri_exp.deploy.metadata import metadata
    from camri_exp.models.checkpoint import load
    from camri_exp.models.inference import Predictor

    if cfg.format not in FORMATS:
        raise UserError(f"format={cfg.format}: expected one of {', '.join(FORMATS)}.")
    checkpoint, output = Path(cfg.checkpoint), Path(cfg.output)
    suffix, write = FORMATS[cfg.format]
    if output.suffix != suffix:
        raise UserError(f"output={output}: format={cfg.format} writes a file that ends in {suffix}.")
    config, model = load(checkpoint)
    bias, origin = _bias(cfg, checkpoint)
    images = _images(cfg, config, model.metadata)
    predictor = Predictor(model, device="cpu")
    part = output.with_name(f"{output.stem}.part{suffix}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # Two pictures: torch would take a batch of one for a constant.
        file = write(predictor.model, images[:1].repeat(2, 1, 1, 1), metadata(model.metadata, bias), part)
        found = parity.compare(lambda pixels: predictor(images.new_tensor(pixels)), file, images.numpy())
        if not found.difference < parity.MOST:
            raise UserError(
                f"the exported model differs from PyTorch by {found.difference:.2g} (at most {parity.MOST:g} is "
                "rounding); nothing was written. Please report this model."
            )
        os.replace(part, output)
    except OSError as error:
        raise UserError(f"output={output} cannot be written: {error.strerror}. Give another file.") from error
    finally:
        part.unlink(missing_ok=True)
    print(_summary(cfg, model.metadata, output, found, f"{bias:+.4g} {origin}"))


def _bias(cfg: DictConfig, checkpoint: Path) -> tuple[float, str]:
    from camri_exp.evaluation.operating_point import bias_of_checkpoint

    if isinstance(cfg.bias, int | float) and math.isfinite(cfg.bias):
        return float(cfg.bias), "as given"
    if cfg.bias != "auto":
        raise UserError(f"bias={cfg.bias}: expected a number, or auto for the one chosen on validation.")
    try:
        return bias_of_checkpoint(checkpoint), "chosen on validation"
    except UserError as error:
        return 0.0, f"since {error}"


def _images(cfg: DictConfig, config: DictConfig, metadata: Any) -> Any:
    """Real pictures to check with: those in ``cfg.images``, else validation images of the run's data."""
    if not (isinstance(cfg.check_images, int) and cfg.check_images > 0):
        raise UserError(f"check_images={cfg.check_images}: expected a number of pictures, at least 1.")
    from itertools import islice

    from camri_exp.deploy.image_files import batches, find
    from camri_exp.evaluation.predictions import data_of

    if cfg.images is None:
        try:
            data = data_of(config, metadata, Path(cfg.checkpoint), cfg.data.root)
        except UserError as error:
            raise UserError(f"{error}\nAny pictures will do to check the file with: images=FILE_OR_DIR") from error
        return data.images("val", slice(cfg.check_images))
    paths = islice(find(Path(cfg.images), lambda *_: None), cfg.check_images)
    for _, pixels in batches(paths, metadata.image_size, metadata.channels, cfg.check_images, lambda *_: None):
        return pixels
    raise UserError(f"images={cfg.images} holds no whole picture to check the file with.")


def _summary(cfg: DictConfig, metadata: Any, output: Path, found: Any, bias: str) -> str:
    from camri_exp.deploy.parity import MOST

    (one_torch, one_file), (all_torch, all_file) = found.milliseconds
    file = "onnxruntime" if cfg.format == "onnx" else "the program"
    return "\n".join(
        [
            f"{metadata.model}, loss {metadata.loss}: {output} ({output.stat().st_size / 2**20:.1f} MiB)",
            f"checked on {found.images} pictures: largest difference from PyTorch {found.difference:.2g} "
            f"(below {MOST:g}), {found.same_prediction} predictions the same",
            f"one picture: PyTorch {one_torch:.2f} ms, {file} {one_file:.2f} ms; "
            f"{found.images} pictures: {all_torch:.1f} ms, {all_file:.1f} ms",
            f"bias of {', '.join(metadata.important_class_names)} in the metadata: {bias}",
        ]
    )


if __name__ == "__main__":
    main()
