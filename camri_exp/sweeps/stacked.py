"""The jobs of a sweep that share features, trained as one program, each with the folder of a job that runs alone."""

import hashlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path

import pytorch_lightning as pl
from omegaconf import OmegaConf

from camri_exp.cli import check_config
from camri_exp.data.base import ImageDataModule
from camri_exp.data.factory import important_class_ids
from camri_exp.data.splits import SPLITS
from camri_exp.errors import UserError, first_line
from camri_exp.files import claimed
from camri_exp.identity import identity_of
from camri_exp.models.factory import build_feature_classifier
from camri_exp.models.frozen import training_device, use_features
from camri_exp.models.lightning_speedups import keep_freed_memory
from camri_exp.models.metadata import FrozenBackbone, metadata_of
from camri_exp.sweeps.job import Job
from camri_exp.sweeps.objectives import Objectives
from camri_exp.sweeps.stackable import PlannedJob
from camri_exp.training.data_checks import check_mixing
from camri_exp.training.factory import build_optimizer, build_scheduler
from camri_exp.training.run import prepared_data
from camri_exp.training.stack import Member, Stack, Weights, row_of
from camri_exp.training.stacked_files import RunFiles, loops_at_the_end
from camri_exp.training.stacked_fit import StackedFit, names_in
from camri_exp.training.warnings import ignore_known_warnings

LARGEST = 256  # jobs; each holds a lock
SNAPSHOTS = ".stacked"
Report = Callable[[str], object]


class StackedJobs:
    """Trains jobs of one shape.

    Args:
        jobs: all jobs of the sweep of this shape, done or not, so that the same command makes the same stacks.
        sweep_dir: the folder of the sweep.
        report: is told what is being done.
    """

    def __init__(self, jobs: Sequence[PlannedJob], sweep_dir: Path, report: Report) -> None:
        self.jobs = sorted(jobs, key=lambda job: (job.cfg.seed, job.number))
        self.sweep_dir, self.report = sweep_dir, report
        self.data: ImageDataModule | None = None
        self.frozen: FrozenBackbone | None = None
        self.notices = ""
        self.found: dict[int, Objectives | None] = {}

    def run(self) -> dict[int, Objectives | None]:
        """Train what is missing; the objectives by the number of the job."""
        for start in range(0, len(self.jobs), LARGEST):
            with ExitStack() as claims:
                self._run(self.jobs[start : start + LARGEST], claims)
        return self.found

    def _run(self, jobs: Sequence[PlannedJob], claims: ExitStack) -> None:
        started = {planned: job for planned in jobs if (job := self._start(planned, claims)) is not None}
        try:
            self._train(jobs, started)
        except (KeyboardInterrupt, SystemExit) as stop:
            for job in started.values():
                job.stop()
            raise KeyboardInterrupt from stop
        except Exception as error:
            for job in started.values():
                if job.is_running:
                    job.fail(error)
        self.found |= {planned.number: job.objectives for planned, job in started.items()}

    def _start(self, planned: PlannedJob, claims: ExitStack) -> Job | None:
        """Claim and start a job; None where there is nothing to do, or another process does it."""
        planned.use()
        try:
            planned.folder.mkdir(parents=True, exist_ok=True)
            if claims.enter_context(claimed(planned.folder, "Give another folder: hydra.sweep.dir=DIR")) is not None:
                return None
            job = Job(planned.cfg, planned.folder)
            try:
                if job.start(resumable=False):
                    check_config(planned.cfg, "train")
                    return job
                self.found[planned.number] = job.objectives
            except Exception as error:
                job.fail(error)
        except (UserError, OSError) as error:  # a full disk, say
            print(f"{planned.folder.name} could not run: {first_line(error)}", file=sys.stderr)
        return None

    def _train(self, jobs: Sequence[PlannedJob], started: Mapping[PlannedJob, Job]) -> None:
        ignore_known_warnings()
        members = self._members(started)
        if not members:
            return
        snapshot = self._snapshot(jobs)
        names = {planned.folder.name for planned in members.values()}
        if any(job.cfg.sweep.rerun == "all" for job in jobs) or not names <= set(known := names_in(snapshot)):
            snapshot.unlink(missing_ok=True)
        else:  # with the jobs that are done already: in a stack of other jobs, numbers would be rounded differently
            members = self._members([job for job in jobs if job.folder.name in known])
        data, first = self.data, next(iter(members)).cfg
        assert data is not None
        device = training_device(first)
        if first.trainer.get("keep_freed_memory") and device.type == "cpu":
            keep_freed_memory()
        best = first.callbacks.best
        fit = StackedFit(Stack(list(members), data, device), best.monitor, best.mode, snapshot)
        fit.names = [members[member].folder.name for member in fit.stack.members]
        fit.run(self.report)
        self._write(fit, members, started)
        snapshot.unlink(missing_ok=True)

    def _members(self, jobs: Mapping[PlannedJob, Job] | Sequence[PlannedJob]) -> dict[Member, PlannedJob]:
        """The runs of jobs; one that cannot be built, such as with a margin that the loss refuses, fails alone."""
        members = {}
        for planned in jobs:
            try:
                members[self._member(planned)] = planned
            except Exception as error:
                if self.data is None or not isinstance(jobs, Mapping):
                    raise
                jobs[planned].fail(error)
        return members

    def _write(self, fit: StackedFit, members: Mapping[Member, PlannedJob], started: Mapping[PlannedJob, Job]) -> None:
        """Write the folders of the jobs, those of one seed after those of another."""
        loops, checkpoint = loops_at_the_end(fit.stack), str(next(iter(members)).cfg.test_checkpoint)
        splits: list[str] = [split for split in SPLITS if split != "train" and split in fit.stack.data.splits]
        progress = iter(fit.progress)
        for number, block in enumerate(fit.stack.blocks):
            weights = fit.weights_of(number, checkpoint)
            scores = {split: fit.stack.scores(split, block, weights) for split in splits}
            for row, member in enumerate(block.members):
                planned, known = members[member], next(progress)
                if (job := started.get(planned)) is None:
                    continue
                own = {split: values[row] for split, values in scores.items()}
                last, best = (row_of(values, row) for values in (block.weights, fit.best[number]))
                self._write_job(RunFiles(fit, member, known, own, loops), last, best, planned, job)
            self.report(f"{number + 1}/{len(fit.stack.blocks)} seeds written")

    def _write_job(self, files: RunFiles, last: Weights, best: Weights, planned: PlannedJob, job: Job) -> None:
        planned.use()
        try:
            with job.output():
                print(self.notices, end="")
                result = files.write(planned.folder, last, best)
        except (UserError, OSError) as error:  # its loss became NaN, or the disk is full
            job.fail(error)
        else:
            job.finish(result, result.fit_seconds)

    def _snapshot(self, jobs: Sequence[PlannedJob]) -> Path:
        text = "\n".join(sorted(f"{job.folder.name} {job.digest}" for job in jobs))
        return self.sweep_dir / SNAPSHOTS / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.pt"

    def _member(self, planned: PlannedJob) -> Member:
        """The run of a job with its initial weights, as it has them alone."""
        cfg = planned.cfg
        planned.use()
        data = self._data(planned)
        metadata = metadata_of(cfg, data, important_class_ids(cfg, data))
        pl.seed_everything(cfg.seed, verbose=False)
        model = build_feature_classifier(
            cfg, replace(metadata, frozen=self.frozen), build_optimizer(cfg), build_scheduler(cfg)
        )
        check_mixing(cfg, data, model.loss)
        own = identity_of(planned.given, model.needs)
        OmegaConf.update(cfg, "identity", asdict(own), force_add=True)
        return Member(cfg, model)

    def _data(self, planned: PlannedJob) -> ImageDataModule:
        """The data of all jobs of this shape, on the features of their backbone; what it prints is in each run.log."""
        if self.data is None:
            cfg, text = planned.cfg, io.StringIO()
            self.report("features")
            with redirect_stdout(text), redirect_stderr(text):
                data, metadata = prepared_data(cfg)
            self.frozen, self.data = use_features(cfg, data, metadata).frozen, data
            self.notices = text.getvalue()
        return self.data
