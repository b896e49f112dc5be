"""The circles of a sweep whose features have two dimensions."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class DrawFeatures(Callback):
    """Draws ``features.png`` into a sweep's folder when the sweep has ended: a circle for each of its runs."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        from camri_exp.evaluation.plots import circle
        from camri_exp.evaluation.predictions import from_run
        from camri_exp.figures import style
        from camri_exp.figures.feature_circle import features_on_circles
        from camri_exp.results import RunResult

        folder = Path(config.hydra.sweep.dir)
        runs = sorted((path.parent for path in folder.glob("*/result.json")), key=lambda run: run.stat().st_ctime)
        overrides = [RunResult.of(run).overrides for run in runs]
        same = set.intersection(*map(set, overrides)) if len(runs) > 1 else set()
        labels = [", ".join(text for text in one if text not in same) for one in overrides]
        found = [circle(from_run(run, "test"), "test", label) for run, label in zip(runs, labels, strict=True)]
        circles = [one for one in found if one is not None]
        if not circles:
            return
        style.save(features_on_circles(circles), folder / "features.png")
        print("angle from the important class's weight to the nearest other one:")
        for one in circles:
            print(f"  {one.label}: {', '.join(one.told())}")
        print(f"figure: {folder / 'features.png'}")
