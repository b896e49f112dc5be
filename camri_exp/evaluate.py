"""``python -m camri_exp.evaluate``: what a trained model is worth, and how sure that is."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from camri_exp.cli import command
from camri_exp.errors import UserError


@command("evaluate", paths=("checkpoint", "run", "compare", "output", "data.root"))
def main(cfg: DictConfig) -> None:
    """Write ``evaluation.json`` and figures of ``cfg.checkpoint`` or ``cfg.run``, and print a short table."""
    from camri_exp.evaluation.metrics import measure
    from camri_exp.evaluation.predictions import SPLITS, from_checkpoint, from_run
    from camri_exp.evaluation.summary import table

    if (cfg.checkpoint is None) == (cfg.run is None):
        raise UserError("Give either checkpoint=PATH (run the model) or run=DIR (the predictions of a finished run).")
    if cfg.split not in SPLITS:
        raise UserError(f"split={cfg.split}: expected one of {', '.join(SPLITS)}.")
    splits = dict.fromkeys(("val", cfg.split))
    if cfg.checkpoint is not None:
        path = Path(cfg.checkpoint)
        model = from_checkpoint(path, *splits, root=cfg.data.root, device=cfg.device)
        folder = path.resolve().parent
        folder = folder.parent if folder.name == "checkpoints" else folder
    else:
        folder = Path(cfg.run)
        model = from_run(folder, *splits)
    other = from_run(Path(cfg.compare), *splits) if cfg.compare is not None else None
    found = measure(model, cfg.split, other)
    print(table(found))
    output = Path(cfg.output) if cfg.output else folder
    lines, figures = _write(cfg, output, model, other, found)
    print("\n".join(lines))
    _log(cfg, folder, output, found, figures)


def _write(
    cfg: DictConfig, folder: Path, model: Any, other: Any, found: dict[str, Any]
) -> tuple[list[str], list[Path]]:
    """Write the files of an evaluation; lines that say where they are, and the paths of the figures."""
    from camri_exp.evaluation.metrics import write_curve
    from camri_exp.files import write_json

    figures: list[Path] = []
    name = "evaluation" if cfg.split == "test" else f"evaluation_{cfg.split}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{name}.json", found)
        lines = [f"numbers: {folder / name}.json"]
        if found["threshold"] is not None:
            write_curve(model, cfg.split, folder / f"{name}_threshold.csv")
            lines.append(f"threshold curve: {folder / name}_threshold.csv")
        if cfg.figures:
            from camri_exp.evaluation.plots import draw

            figure_folder = folder / "figures" if cfg.split == "test" else folder / "figures" / cfg.split
            names = draw(model, other, found, figure_folder)
            figures = [figure_folder / name for name in names]
            lines.append(f"figures: {figure_folder} ({', '.join(names)})")
    except OSError as error:
        raise UserError(f"the evaluation cannot be written to {folder}: {error.strerror}. Give output=DIR") from error
    return lines, figures


def _log(cfg: DictConfig, run: Path, output: Path, found: dict[str, Any], figures: list[Path]) -> None:
    """Log to the trackers of the logger group, with the config of the evaluated run where it is still there."""
    if not cfg.logger:
        return
    import yaml

    from camri_exp.identity import with_run_dir
    from camri_exp.tracking.base import ResultLogger, RunDescription
    from camri_exp.training.factory import build_loggers

    path = run / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    names = {key: {"name": found[key]} for key in ("data", "loss", "model")}
    overrides = [f"seed={found['seed']}", f"split={found['split']}"]
    description = RunDescription(
        {**names, **config, "split": found["split"]}, overrides, found["important_class_names"]
    )
    cfg = with_run_dir(cfg, str(output))
    for node in cfg.logger.values():
        if "job_type" in node:
            node.job_type = "evaluate"
    for logger in build_loggers(cfg):
        if isinstance(logger, ResultLogger):
            logger.start(description)
            logger.log_evaluation(found, figures)
            logger.close(0)


if __name__ == "__main__":
    main()
