"""One W&B run per job: online with a key, else offline. An error of the service costs no results."""

import json
import logging
import os
import uuid
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import wandb
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from camri_exp.data.base import ImageDataModule
from camri_exp.errors import first_line
from camri_exp.evaluation.record import Evaluation
from camri_exp.files import display_path, locked, write_json
from camri_exp.models.backbone_file import BUNDLED
from camri_exp.results import Predictions, RunResult
from camri_exp.stored_config import CONFIG
from camri_exp.tracking import session
from camri_exp.tracking.base import Probabilities, ResultLogger, RunDescription
from camri_exp.tracking.summary import METRICS, evaluation_summary, run_name, summary, tags
from camri_exp.tracking.sync import LOCK, SYNCED

log = logging.getLogger(__name__)
Upload = Callable[[wandb.Run], object]

STEP = "trainer/global_step"
BEST = tuple(f"val/{name}" for name in METRICS)


class WandbRun(ResultLogger):
    """A Lightning logger that is one W&B run, opened by ``start`` and closed by ``close``, also after an error.

    Lightning's own WandbLogger passes settings that current wandb warns about, and leaves the run open on an error.
    Under DDP only the first process has a run.

    Args:
        save_dir: the run's folder, where W&B keeps its files too.
        project: W&B project.
        entity: W&B user or team; null is the account's default.
        mode: online, offline or disabled; null is ``WANDB_MODE``, else online with a key and offline without.
        log_model: upload the checkpoints as an artifact, with the aliases best and last.
        job_type: W&B's type of the run: train or evaluate.
        init_timeout: seconds that the service may take to answer at the start; then the run continues offline.
        finish_timeout: seconds that the upload may take at the end; the rest stays on disk and can be uploaded later.

    Raises:
        ValueError: a mode, a timeout or a project name that W&B refuses.
    """

    def __init__(
        self,
        save_dir: str,
        project: str,
        entity: str | None = None,
        mode: str | None = None,
        log_model: bool = False,
        job_type: str = "train",
        init_timeout: float = 30,
        finish_timeout: float = 300,
    ) -> None:
        super().__init__()
        self.run_dir, self.log_model, self.job_type = Path(save_dir), log_model, job_type
        self.project, self.entity = project, entity
        self.mode = mode or os.environ.get("WANDB_MODE") or "online"
        self.timeouts = {"init_timeout": init_timeout, "finish_timeout": finish_timeout}
        self.run: wandb.Run | None = None
        self.lock = ExitStack()
        self.step: int | None = None
        self.warned = False
        self.uploads: dict[str, Upload] = {}
        self.values: dict[str, float] = {}  # the last value of each metric, the best of those in BEST
        self.deferred = False
        if self.mode != "disabled":
            session.check_settings(mode=self.mode, project=project, entity=entity, **self.timeouts)

    def start(self, description: RunDescription) -> None:
        if not rank_zero_only(lambda: True, default=False)() or self.mode == "disabled":
            return
        config, names = description.config, description.important_class_names
        self.arguments = {
            "project": self.project,
            "entity": self.entity,
            "dir": str(self.run_dir),
            "job_type": self.job_type,
            "group": description.sweep_name,
            "tags": tags(description),
            "config": {**config, "important_class_names": ", ".join(names)},
            **self._identity(run_name(description), resumed=config.get("resume") is not None),
        }
        self._attempt("starting the run", self._start)

    def _identity(self, name: str, resumed: bool) -> dict[str, str]:
        """Id and name of the run. Training stores them next to the checkpoints, so that a resumed run keeps them."""
        path = self.run_dir / "checkpoints" / "wandb.json"
        if resumed and path.is_file():  # a run that overwrites another one in its folder gets a new id
            return {**json.loads(path.read_text(encoding="utf-8")), "resume": "allow"}
        identity = {"id": uuid.uuid4().hex[:12], "name": name}
        if self.job_type == "train":
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, identity)
        return identity

    def _start(self) -> None:
        run = self.run = session.open_run(self.mode, self.timeouts, self.arguments, self._warn)
        # Held as long as the run is written to: tracking.sync does not upload it meanwhile.
        lock = locked(Path(run.settings.sync_file).with_suffix(LOCK), "W&B needs it.", wait=False)
        self._attempt("locking the run", lambda: self.lock.enter_context(lock))
        run.define_metric(STEP, hidden=True)
        run.define_metric("*", step_metric=STEP)
        for name in BEST:
            run.define_metric(name, step_metric=STEP, summary="max")
        if _is_online(run):
            print(f"W&B: {run.url}")

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return self.run.id if self.run is not None else ""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if (run := self.run) is not None:
            self.step = step
            for key, value in metrics.items():
                self.values[key] = max(value, self.values.get(key, value)) if key in BEST else value
            self._attempt("logging metrics", lambda: run.log({**metrics, STEP: step}))

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Does nothing: ``start`` logs the whole config."""

    def log_results(
        self, result: RunResult, predictions: Predictions, data: ImageDataModule, probabilities: Probabilities
    ) -> None:
        """Log the summary, figures and tables of the selected checkpoint, and the checkpoints if wanted."""
        if self.run is None:
            return
        from camri_exp.tracking import media

        def log_tables(run: wandb.Run) -> None:
            # W&B has no argument for the folder in which it keeps the images of a table.
            with session.environment("WANDB_DATA_DIR", self.run_dir / "wandb"):
                run.log({**media.tables(result, predictions, data, probabilities), STEP: self.step})

        self._upload(
            self.run,
            summary=lambda run: run.summary.update(summary(result)),
            figures=lambda run: run.log({**media.images(result, predictions), STEP: self.step}),
            tables=log_tables,
            **({"checkpoints": self._log_checkpoints} if self.log_model else {}),
        )

    def log_evaluation(self, evaluation: Evaluation, figures: Sequence[Path]) -> None:
        """Log the numbers of an evaluation, and its figures."""
        if self.run is not None:
            self._upload(
                self.run,
                summary=lambda run: run.summary.update(evaluation_summary(evaluation)),
                figures=lambda run: run.log({f"evaluation/{path.stem}": wandb.Image(str(path)) for path in figures}),
            )

    def _upload(self, run: wandb.Run, **uploads: Upload) -> None:
        """Do the uploads in order; from the first failure on, keep them for an offline part of the run."""
        self.uploads = uploads
        if _is_online(run) and (problem := session.connection_problem(run.settings.base_url)) is not None:
            self._warn(f"W&B does not answer ({problem}); the results on disk are complete")
            self.deferred = True  # tables and checkpoints would repeat their requests for minutes
        for what, upload in uploads.items():
            self.deferred = self.deferred or not self._attempt(f"logging the {what}", partial(upload, run))

    def _log_checkpoints(self, run: wandb.Run) -> None:
        for alias in ("best", "last"):
            path = self.run_dir / "checkpoints" / f"{alias}.ckpt"
            if path.is_file():
                artifact = wandb.Artifact(f"checkpoint-{run.id}", type="model")
                # The layout of a run's folder, so that camri_exp.evaluate reads a download. "immutable": no copy.
                artifact.add_file(str(path), f"checkpoints/{path.name}", policy="immutable", skip_cache=True)
                artifact.add_file(str(self.run_dir / CONFIG), policy="immutable", skip_cache=True)
                if (bundled := path.with_name(BUNDLED)).is_file():
                    artifact.add_file(str(bundled), f"checkpoints/{BUNDLED}", policy="immutable", skip_cache=True)
                run.log_artifact(artifact, aliases=[alias])

    def close(self, exit_code: int) -> None:
        """Close the run, and print how to upload what is not uploaded yet."""
        if (run := self.run) is None:
            return
        online, file = _is_online(run), Path(run.settings.sync_file)
        finish = partial(session.close_run, run, exit_code, self.timeouts["finish_timeout"])
        complete = ended = self._attempt("finishing the upload", finish)
        if online and complete:
            file.with_suffix(SYNCED).touch()
        if not complete:
            ended = session.drop_service()
            self.deferred = online and bool(self.uploads)  # what was on its way is not in the file
        if self.deferred:
            self._attempt("writing the offline part", lambda: self._write_deferred(exit_code))
        if ended:  # else W&B's process writes to the file until this process ends
            self.lock.close()
            file.with_suffix(LOCK).unlink(missing_ok=True)
        if exit_code == 0 and (not (online and complete) or self.deferred):
            state = "the upload is incomplete" if online else "this run was offline"
            print(f"W&B: {state}; to upload it: python -m camri_exp.tracking.sync {display_path(self.run_dir)}")

    def _write_deferred(self, exit_code: int) -> None:
        """Write what was not uploaded as an offline part of the same run, which ``tracking.sync`` adds to it.

        The part that is uploaded last sets the whole summary.
        """
        run = session.open_run("offline", self.timeouts, self.arguments, self._warn)
        run.summary.update({key: {"max": value} if key in BEST else value for key, value in self.values.items()})
        for upload in self.uploads.values():
            upload(run)
        run.finish(exit_code=exit_code)

    def _attempt(self, action: str, call: Callable[[], object]) -> bool:
        """Whether ``call`` succeeded. W&B never ends a run: whatever it raises is logged."""
        try:
            call()
        except Exception as error:
            self._warn(f"W&B: {action} failed ({first_line(error)}); the results on disk are complete")
            return False
        return True

    def _warn(self, text: str) -> None:
        """Log ``text``; the first one is printed too."""
        log.info(text)
        if not self.warned:
            print(text)
        self.warned = True


def _is_online(run: wandb.Run) -> bool:
    return run.settings.mode not in session.OFFLINE
