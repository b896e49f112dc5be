"""``hydra/launcher=stacked``: jobs that share the features of a frozen backbone are trained as one program."""

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, open_dict

from hydra_plugins.camri_exp_sweeper.composition import Composer


class StackedLauncher(BasicLauncher):
    """Trains the jobs that can be stacked as few programs, and then the others one after the other.

    camri_exp is imported inside the methods, because Hydra imports every plug-in at every start.
    """

    status = ""  # what is being done, for the progress line
    composer: Composer | None = None  # that of the sweeper, which has composed most of what is needed

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from camri_exp.sweeps.stacked import StackedJobs

        assert self.config is not None
        folder, before = Path(self.config.hydra.sweep.dir).absolute(), HydraConfig.instance().cfg
        returns: dict[int, JobReturn] = {}
        try:
            stacks, alone = self._divided(job_overrides, initial_job_idx)
            for jobs in stacks:
                found = StackedJobs(jobs, folder, self._report).run()
                returns |= {number: _return(objectives) for number, objectives in found.items()}
        finally:
            HydraConfig.instance().cfg = before
            self.status = ""
        for number in alone:
            (returns[number],) = super().launch([job_overrides[number - initial_job_idx]], number)
        numbers = range(initial_job_idx, initial_job_idx + len(job_overrides))
        return [returns.get(number, _return(None)) for number in numbers]

    def _report(self, status: str) -> None:
        self.status = status

    def _divided(self, job_overrides: Sequence[Sequence[str]], first: int) -> tuple[list[list[Any]], list[int]]:
        """The jobs of each stack, and the numbers of the jobs that cannot be stacked, with a message why."""
        from camri_exp.sweeps.stackable import obstacle, planned

        shapes: dict[str, list[Any]] = defaultdict(list)
        alone: dict[int, str] = {}
        for number, overrides in enumerate(job_overrides, start=first):
            try:
                job = planned(number, self._composed(number, overrides))
                why = obstacle(job)
            except Exception as error:  # which the job itself reports
                why = type(error).__name__
            if why is None:
                shapes[job.shape].append(job)
            else:
                alone[number] = why
        single = {jobs[0].number: "no other job of its shape" for jobs in shapes.values() if len(jobs) == 1}
        alone |= single
        if alone:
            reasons = ", ".join(dict.fromkeys(alone.values()))
            print(f"{len(alone)} of {len(job_overrides)} jobs run one after the other: {reasons}", file=sys.stderr)
        return [jobs for jobs in shapes.values() if len(jobs) > 1], sorted(alone)

    def _composed(self, number: int, overrides: Sequence[str]) -> DictConfig:
        assert self.hydra_context is not None
        assert self.config is not None
        self.composer = self.composer or Composer(self.hydra_context.config_loader, self.config)
        composed = self.composer(overrides)
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        return composed


def _return(objectives: tuple[float, float] | None) -> JobReturn:
    result = JobReturn(status=JobStatus.COMPLETED)
    result.return_value = objectives
    return result
