"""The sweeper behind ``-m``. It is here because Hydra takes plug-ins from the namespace ``hydra_plugins`` alone."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf


class GridSweeper(BasicSweeper):
    """Hydra's basic sweeper with lists a loss, a progress line, a table at the end, and exit code 1 if a job failed."""

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> Any:
        from camri_exp.cli import fail
        from camri_exp.identity import job_name
        from camri_exp.sweeps.progress import SweepProgress

        assert self.config is not None
        assert self.launcher is not None
        jobs = self.jobs(arguments)
        names = [job_name(job) for job in jobs]
        folder = Path(self.config.hydra.sweep.dir)
        self.write_plan(folder, names)
        try:
            with SweepProgress(folder, self.config.sweep.launch, names, len(names), self.config.sweep.rerun) as watch:
                returns = self.launcher.launch(jobs, initial_job_idx=0)
        except KeyboardInterrupt:
            sys.exit(130)
        except Exception as error:  # no job's own: those are caught where they happen
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            fail(f"the launcher stopped: {error}")
        if watch.failed:
            sys.exit(1)
        return [returns]

    def jobs(self, arguments: Sequence[str]) -> list[list[str]]:
        """All jobs. Every value of every list is composed once: a wrong one ends the sweep before it starts."""
        from camri_exp.cli import fail
        from camri_exp.errors import UserError
        from camri_exp.reporting.ranking import resolve_ranks
        from camri_exp.sweeps.grid import expand

        assert self.config is not None
        choices = self.config.hydra.runtime.choices
        try:
            jobs = expand(self.params, self.config.sweep.only, arguments, choices.loss, self.keys_of)
            for job in covering(jobs):
                resolve_ranks(self.compose(job))
        except UserError as error:
            fail(error)
        return jobs

    def keys_of(self, loss: str) -> list[str]:
        return [str(key) for key in self.compose([f"loss={loss}"]).loss]

    def compose(self, overrides: Sequence[str]) -> Any:
        assert self.hydra_context is not None
        assert self.config is not None
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))

    def write_plan(self, folder: Path, names: Sequence[str]) -> None:
        """``multirun.yaml`` as Hydra writes it, and ``jobs.json``: what a report may expect to find."""
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        add_to_plan(folder, names)


def add_to_plan(folder: Path, names: Sequence[str]) -> None:
    """Add jobs to ``jobs.json``. Two sweeps of one name may start at once, and be killed at any time."""
    plan, new = folder / "jobs.json", folder / "jobs.json.tmp"
    with FileLock(folder / ".plan"):
        known = json.loads(plan.read_text(encoding="utf-8")) if plan.is_file() else []
        new.write_text(json.dumps(list(dict.fromkeys([*known, *names])), indent=0), encoding="utf-8")
        os.replace(new, plan)


def covering(jobs: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Some of the jobs that have every override of all of them."""
    seen: set[str] = set()
    chosen = []
    for job in jobs:
        if not seen >= set(job):
            chosen.append(job)
            seen |= set(job)
    return chosen


class OwnPresets(SearchPathPlugin):
    """Keeps Hydra from merging the plug-ins' schemas of the same names under ``configs/hydra``'s whole presets.

    It warns where it merges, and refuses where the schema has defaults, as Optuna's does. Other applications in the
    same environment keep what they have.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        from camri_exp.cli import CONFIGS

        if str(CONFIGS) not in {str(item.path).removeprefix("file://") for item in search_path.get_path()}:
            return
        store = ConfigStore.instance().repo["hydra"]
        for preset in CONFIGS.glob("hydra/*/*.yaml"):
            store.get(preset.parent.name, {}).pop(preset.name, None)
