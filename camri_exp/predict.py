"""``python -m camri_exp.predict``: label new images."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from camri_exp.cli import command
from camri_exp.errors import UserError


@command("predict", paths=("checkpoint", "images", "output", "trust"))
def main(cfg: DictConfig) -> None:
    """Write one row per image in ``cfg.images``: predicted class, probabilities and angle."""
    if cfg.checkpoint is None or cfg.images is None:
        raise UserError("Give checkpoint=PATH and images=FILE_OR_DIR.")
    from camri_exp.data.decode import pixel_limit
    from camri_exp.deploy.batch_predict import Labels, predict_files
    from camri_exp.evaluation.operating_point import operating_point_of, review_band
    from camri_exp.evaluation.promise_text import review_sentence, sentences
    from camri_exp.models.checkpoint import load
    from camri_exp.models.inference import Predictor
    from camri_exp.stored_config import trusted_names
    from camri_exp.text import plural

    checkpoint, images = Path(cfg.checkpoint), Path(cfg.images)
    config, model = load(checkpoint, trusted_names(cfg.trust))
    point = operating_point_of(checkpoint, cfg.bias or 0.0, cfg.recall, cfg.confidence)
    band = review_band(checkpoint, cfg.review, cfg.recall, cfg.confidence)
    labels = Labels(point.bias, None if band is None else band.biases, cfg.probabilities)
    predictor = Predictor(model, device=cfg.device, precision=config.trainer.precision)
    output = Path(cfg.output) if cfg.output else None
    batch_size = cfg.batch_size or config.data.batch_size
    with pixel_limit(config.data.get("max_pixels")):
        counts = predict_files(predictor, model, images, output, labels=labels, batch_size=batch_size)
    names = ", ".join(model.metadata.important_class_names)
    lines = [f"{plural(counts.images, 'image')}, {counts.important} of them predicted as {names}"]
    if cfg.bias is not None or cfg.recall is not None:
        lines.append(f"bias added to the score of {names}: {point}")
    if point.promise is not None:
        lines += sentences(point.promise)
    if band is not None:
        lines.append(f"{plural(counts.review, 'image')} to review: {review_sentence(band)}")
    if counts.unreadable:
        lines.append(f"{plural(len(counts.unreadable), 'unreadable file')} skipped, named above")
    if output is not None:
        lines.append(f"predictions: {output}")
    print("\n".join(lines), file=sys.stderr)


if __name__ == "__main__":
    main()
