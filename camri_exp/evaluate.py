"""``python -m camri_exp.evaluate``: what a trained model is worth, and how sure that is."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from camri_exp.cli import command
from camri_exp.errors import UserError


@command("evaluate", paths=("checkpoint", "run", "compare", "output", "data.root"))
def main(cfg: DictConfig) -> None:
    """Write ``evaluation.json`` and figures of ``cfg.checkpoint`` or ``cfg.run``, and print a short table."""
    from camri_exp.evaluation.measure import measure
    from camri_exp.evaluation.subject import SPLITS, from_checkpoint, from_run
    from camri_exp.evaluation.table import table

    if (cfg.checkpoint is None) == (cfg.run is None):
        raise UserError("Give either checkpoint=PATH (run the model) or run=DIR (what a finished run kept).")
    if cfg.split not in SPLITS:
        raise UserError(f"split={cfg.split}: expected one of {', '.join(SPLITS)}.")
    splits = dict.fromkeys(("val", cfg.split))
    if cfg.checkpoint is not None:
        path = Path(cfg.checkpoint)
        subject = from_checkpoint(path, *splits, root=cfg.data.root, device=cfg.device)
        folder = path.resolve().parent
        folder = folder.parent if folder.name == "checkpoints" else folder
    else:
        folder = Path(cfg.run)
        subject = from_run(folder, *splits)
    other = from_run(Path(cfg.compare), *splits) if cfg.compare is not None else None
    found = measure(subject, cfg.split, other)
    print(table(found))
    output = Path(cfg.output) if cfg.output else folder
    lines, figures = _write(cfg, output, subject, other, found)
    print("\n".join(lines))
    _tell(cfg, folder, output, found, figures)


def _write(
    cfg: DictConfig, folder: Path, subject: Any, other: Any, found: dict[str, Any]
) -> tuple[list[str], list[Path]]:
    """The files of an evaluation; lines that say where they are, and the figures' paths."""
    from camri_exp.evaluation.measure import write_curve
    from camri_exp.results import write_json

    figures: list[Path] = []
    name = "evaluation" if cfg.split == "test" else f"evaluation_{cfg.split}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{name}.json", found)
        lines = [f"numbers: {folder / name}.json"]
        if found["threshold"] is not None:
            write_curve(subject, cfg.split, folder / f"{name}_threshold.csv")
            lines.append(f"threshold curve: {folder / name}_threshold.csv")
        if cfg.figures:
            from camri_exp.evaluation.draw import draw

            pictures = folder / "figures" if cfg.split == "test" else folder / "figures" / cfg.split
            names = draw(subject, other, found, pictures)
            figures = [pictures / name for name in names]
            lines.append(f"figures: {pictures} ({', '.join(names)})")
    except OSError as error:
        raise UserError(f"the evaluation cannot be written to {folder}: {error.strerror}. Give output=DIR") from error
    return lines, figures


def _tell(cfg: DictConfig, run: Path, output: Path, found: dict[str, Any], figures: list[Path]) -> None:
    """Tell the loggers of the logger group, with the config that the evaluated run had, if it is still there."""
    nodes = [node for node in (cfg.logger or {}).values() if node]
    if not nodes:
        return
    import yaml

    from camri_exp import build

    path, names = run / "config.yaml", ("data", "loss", "model")
    config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    context = {
        "config": {**{name: {"name": found[name]} for name in names}, **config, "split": found["split"]},
        "run_dir": str(output),
        "overrides": [f"seed={found['seed']}", f"split={found['split']}"],
        "job_type": "evaluate",
        "important_class_names": found["important_class_names"],
    }
    for teller in [build.part(node, "logger", **context) for node in nodes]:
        if hasattr(teller, "report_evaluation"):
            teller.report_evaluation(found, figures)
            teller.finish(0)


if __name__ == "__main__":
    main()
