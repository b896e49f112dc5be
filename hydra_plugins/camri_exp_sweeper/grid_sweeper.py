"""The sweeper behind ``-m``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from omegaconf import OmegaConf

from hydra_plugins.camri_exp_sweeper.composition import Composer
from hydra_plugins.camri_exp_sweeper.stacked_launcher import StackedLauncher


class GridSweeper(BasicSweeper):
    """Hydra's basic sweeper with lists for single losses, a progress line, a table at the end, and a true exit code.

    camri_exp is imported inside the methods, because Hydra imports every plug-in at every start.
    """

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.composer: Composer | None = None

    def sweep(self, arguments: list[str]) -> Any:
        from camri_exp.cli import fail
        from camri_exp.errors import UserError
        from camri_exp.files import atomic_write
        from camri_exp.identity import job_name
        from camri_exp.signals import exit_code
        from camri_exp.sweep_plan import add_to_plan
        from camri_exp.sweeps.progress import SweepProgress

        assert self.config is not None
        assert self.launcher is not None
        jobs = self.jobs(arguments)
        names = [job_name(job) for job in jobs]
        folder = Path(self.config.hydra.sweep.dir)
        try:
            with atomic_write(folder / "multirun.yaml") as file:  # as Hydra's own sweeper does
                OmegaConf.save(self.config, file)
            add_to_plan(folder, names)
        except UserError as error:
            fail(error)
        launcher = self.chosen_launcher(jobs)
        if isinstance(launcher, StackedLauncher):
            launcher.composer = self.composer
        launch, rerun = self.config.sweep.launch, self.config.sweep.rerun
        try:
            with SweepProgress(
                folder, launch, names, len(names), rerun, lambda: getattr(launcher, "status", "")
            ) as progress:
                returns = launcher.launch(jobs, initial_job_idx=0)
        except KeyboardInterrupt as stop:
            sys.exit(exit_code(stop))
        except Exception as error:  # the launcher's own: the errors of jobs are caught in the job
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            fail(f"the launcher stopped: {error}")
        if progress.failed or progress.lost:
            sys.exit(1)
        return [returns]

    def chosen_launcher(self, jobs: Sequence[Sequence[str]]) -> Any:
        """The launcher of the command line; where it names none and there are jobs on features, that which stacks."""
        assert self.config is not None
        assert self.hydra_context is not None
        named = any(str(item).startswith("hydra/launcher=") for item in self.config.hydra.overrides.hydra)
        on_features = self.config.model.frozen or any("model.frozen=true" in map(str.lower, job) for job in jobs)
        if named or not on_features or len(jobs) < 2 or not isinstance(self.launcher, BasicLauncher):
            return self.launcher
        launcher = StackedLauncher()
        task = self.launcher.task_function
        assert task is not None
        launcher.setup(hydra_context=self.hydra_context, task_function=task, config=self.config)
        return launcher

    def jobs(self, arguments: Sequence[str]) -> list[list[str]]:
        """All jobs. Every value of every list is composed once, so that a wrong one ends the sweep before it starts."""
        from camri_exp.cli import check_config, fail
        from camri_exp.errors import UserError
        from camri_exp.identity import job_name
        from camri_exp.reporting.ranking import resolve_ranks
        from camri_exp.results import RESULT
        from camri_exp.sweeps.grid import covering, expand

        assert self.config is not None
        choices = self.config.hydra.runtime.choices
        try:
            jobs = expand(self.params, self.config.sweep.only, arguments, choices.loss, self.keys_of)
            # The plug-ins need imports of seconds, which a sweep with nothing to do does without.
            todo = not all((Path(self.config.hydra.sweep.dir) / job_name(job) / RESULT).is_file() for job in jobs)
            for job in covering(jobs):
                cfg = self.compose(job)
                resolve_ranks(cfg)
                check_config(cfg, "train", plugins=todo)
        except UserError as error:
            fail(error)
        return jobs

    def keys_of(self, loss: str) -> list[str]:
        """The keys of the config of a loss."""
        return [str(key) for key in self.compose([f"loss={loss}"]).loss]

    def compose(self, overrides: Sequence[str]) -> Any:
        """The config of a job with these overrides."""
        assert self.hydra_context is not None
        assert self.config is not None
        self.composer = self.composer or Composer(self.hydra_context.config_loader, self.config)
        return self.composer(overrides)
