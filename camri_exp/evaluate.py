"""``python -m camri_exp.evaluate``: all metrics of a trained model, with their uncertainty."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig

from camri_exp.cli import command
from camri_exp.errors import UserError

if TYPE_CHECKING:
    from camri_exp.evaluation.record import Evaluation


@command("evaluate", paths=("checkpoint", "run", "compare", "output", "trust", "data.root"))
def main(cfg: DictConfig) -> None:
    """Write ``evaluation.json`` and figures of ``cfg.checkpoint`` or ``cfg.run``, and print a short table."""
    from camri_exp.evaluation.metrics import evaluate_predictions
    from camri_exp.evaluation.predictions import from_checkpoint, from_run
    from camri_exp.evaluation.promise import CALIBRATION
    from camri_exp.evaluation.summary import summary_table
    from camri_exp.evaluation.write import write_evaluation
    from camri_exp.stored_config import trusted_names

    if (cfg.checkpoint is None) == (cfg.run is None):
        raise UserError("Give either checkpoint=PATH (run the model) or run=DIR (the predictions of a finished run).")
    splits, trusted = dict.fromkeys(("val", cfg.split)), trusted_names(cfg.trust)
    optional = () if cfg.recall is None else (CALIBRATION,)
    if cfg.checkpoint is not None:
        path = Path(cfg.checkpoint)
        model = from_checkpoint(
            path, *splits, optional=optional, root=cfg.data.root, device=cfg.device, trusted=trusted
        )
        run = path.resolve().parent
        run = run.parent if run.name == "checkpoints" else run
    else:
        run = Path(cfg.run)
        model = from_run(run, *splits, optional=optional, trusted=trusted)
    other = from_run(Path(cfg.compare), *splits, trusted=trusted) if cfg.compare is not None else None
    evaluation = evaluate_predictions(
        model, cfg.split, other, recall=cfg.recall, confidence=cfg.confidence, repeated=cfg.repeated
    )
    print(summary_table(evaluation))
    output = Path(cfg.output) if cfg.output else run
    files = write_evaluation(output, evaluation, model, other, figures=cfg.figures)
    print(files)
    check = None if evaluation.promise is None else evaluation.promise.check
    if cfg.logger:
        _log(cfg, run, output, evaluation, files.figures)
    if check is not None and check.broken and cfg.data.root is not None:
        sys.exit(1)


def _log(cfg: DictConfig, run: Path, output: Path, evaluation: "Evaluation", figures: list[Path]) -> None:
    """Log the evaluation to the configured loggers, with the config of the evaluated run where it still exists."""
    from omegaconf import OmegaConf

    from camri_exp.identity import with_run_dir
    from camri_exp.stored_config import CONFIG, load_run_config
    from camri_exp.tracking.base import ResultLogger, RunDescription
    from camri_exp.training.factory import build_loggers

    stored = load_run_config(run, groups=()) if (run / CONFIG).is_file() else OmegaConf.create({})
    config = cast("dict[str, Any]", OmegaConf.to_container(stored))
    names = {key: {"name": getattr(evaluation, key)} for key in ("data", "loss", "model")}
    overrides = [f"seed={evaluation.seed}", f"split={evaluation.split}"]
    description = RunDescription(
        {**names, **config, "split": evaluation.split}, overrides, evaluation.important_class_names
    )
    cfg = with_run_dir(cfg, str(output))
    for node in cfg.logger.values():
        if "job_type" in node:
            node.job_type = "evaluate"
    for logger in build_loggers(cfg):
        if isinstance(logger, ResultLogger):
            logger.start(description)
            logger.log_evaluation(evaluation, figures)
            logger.close(0)


if __name__ == "__main__":
    main()
